import type { MessagePort } from 'node:worker_threads';
import type { Change, Commit, FromKeeper, ToKeeper } from './messages.ts';

/** One thread's way to the keeper. Whatever is asked once it has gone is refused. */
export class KeeperLink {
  readonly #port: MessagePort;
  readonly #asked = new Map<number, (ok: boolean) => void>();
  #nextId = 0;
  #closed = false;

  constructor(port: MessagePort) {
    this.#port = port;
    port.on('message', ({ id, ok }: FromKeeper) => {
      this.#asked.get(id)?.(ok);
      this.#asked.delete(id);
      if (this.#asked.size === 0) port.unref();
    });
    port.once('close', () => {
      this.#closed = true;
      for (const answer of this.#asked.values()) answer(false);
      this.#asked.clear();
    });
    port.unref();
  }

  /** Asks for room for a file. @param opens it is for a new one */
  room(bytes: number, opens: boolean): Promise<boolean> {
    return this.#ask((id) => ({ type: 'room', id, bytes, opens }));
  }

  /** Resolves when the object can be found by every thread, or will not be. */
  commit(commit: Commit): Promise<boolean> {
    return this.#ask((id) => ({ type: 'commit', id, commit }));
  }

  /** Has it written down, after all that was said before. */
  change(change: Change): void {
    this.#send({ type: 'change', change });
  }

  /** Resolves when all changes of all threads are written down; with `false` if they never will be. */
  settled(): Promise<boolean> {
    return this.#ask((id) => ({ type: 'settle', id }));
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

  #ask(message: (id: number) => ToKeeper): Promise<boolean> {
    if (this.#closed) return Promise.resolve(false);
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
