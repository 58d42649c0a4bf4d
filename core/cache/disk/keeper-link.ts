import type { MessagePort } from 'node:worker_threads';
import type { StoredFence } from './durable-fence.ts';
import type { SharedState } from './shared.ts';
import type { Change, Commit, FromKeeper, ToKeeper } from './messages.ts';

/** One thread's way to the keeper. Whatever is asked once it has gone is refused. */
export class KeeperLink {
  readonly #port: MessagePort;
  readonly #asked = new Map<number, (answer: Omit<FromKeeper, 'id'>) => void>();
  #nextId = 0;
  #closed = false;

  constructor(port: MessagePort) {
    this.#port = port;
    port.on('message', ({ id, ...answer }: FromKeeper) => {
      this.#asked.get(id)?.(answer);
      this.#asked.delete(id);
      if (this.#asked.size === 0) port.unref();
    });
    port.once('close', () => {
      this.#closed = true;
      for (const answer of this.#asked.values()) answer({ ok: false });
      this.#asked.clear();
    });
    port.unref();
  }

  /** Asks for room for a file. @param opens it is for a new one */
  room(bytes: number, opens: boolean): Promise<boolean> {
    return this.#isOk((id) => ({ type: 'room', id, bytes, opens }));
  }

  /** Resolves when the object can be found by every thread, or will not be. */
  commit(commit: Commit): Promise<boolean> {
    return this.#isOk((id) => ({ type: 'commit', id, commit }));
  }

  /** Has it written down, after all that was said before. */
  change(change: Change): void {
    this.#send({ type: 'change', change });
  }

  /** Resolves when all changes of all threads are written down; with `false` if they never will be. */
  settled(): Promise<boolean> {
    return this.#isOk((id) => ({ type: 'settle', id }));
  }

  /** What is known of the fence; `undefined`: the keeper has gone. */
  async recall(): Promise<StoredFence | undefined> {
    return (await this.#ask((id) => ({ type: 'recall', id }))).fence;
  }

  /**
   * Resolves when the event, and all that any thread has purged before this is called, will be
   * heeded after a crash; as long as the disk fails, not at all.
   * @returns `false`: the keeper was closed before
   */
  async advance(shared: SharedState, sequence: number): Promise<boolean> {
    if (!(await this.settled())) return false;
    shared.order();
    this.change({ kind: 'advance', sequence });
    return this.settled();
  }

  release(bytes: number): void {
    this.#send({ type: 'release', bytes });
  }

  failed(code: string): void {
    this.#send({ type: 'failed', code });
  }

  close(): void {
    this.#port.close();
  }

  async #isOk(message: (id: number) => ToKeeper): Promise<boolean> {
    return (await this.#ask(message)).ok;
  }

  #ask(message: (id: number) => ToKeeper): Promise<Omit<FromKeeper, 'id'>> {
    if (this.#closed) return Promise.resolve({ ok: false });
    const id = this.#nextId++;
    return new Promise((resolve) => {
      this.#asked.set(id, resolve);
      this.#port.ref();
      this.#send(message(id));
    });
  }

  #send(message: ToKeeper): void {
    if (!this.#closed) this.#port.postMessage(message);
  }
}
