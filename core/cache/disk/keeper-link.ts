import type { MessagePort } from 'node:worker_threads';
import type { Commit, FromKeeper, ToKeeper } from './messages.ts';

/** One thread's way to the keeper. Whatever is asked once it has gone is refused. */
export class KeeperLink {
  readonly #port: MessagePort;
  readonly #asked = new Map<number, (ok: boolean) => void>();
  #nextId = 0;
  #closed = false;

  /** @param onRecovered called when the disk can be written again */
  constructor(port: MessagePort, onRecovered: () => void) {
    this.#port = port;
    port.on('message', (message: FromKeeper) => {
      if (message.type === 'recovered') {
        onRecovered();
        return;
      }
      this.#asked.get(message.id)?.(message.ok);
      this.#asked.delete(message.id);
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
