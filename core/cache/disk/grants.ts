import type { MessagePort } from 'node:worker_threads';
import type { UnderWay } from './limits.ts';

/** Room that each thread was promised for files it writes. It is free again when the thread ends. */
export class Grants {
  readonly #byPort = new Map<MessagePort, { bytes: number; files: number }>();

  open(port: MessagePort): void {
    this.#byPort.set(port, { bytes: 0, files: 0 });
  }
  close(port: MessagePort): void {
    this.#byPort.delete(port);
  }
  ports(): readonly MessagePort[] {
    return [...this.#byPort.keys()];
  }

  /** @param opens for a new file, else for one that was promised room before */
  give(port: MessagePort, bytes: number, opens: boolean): void {
    this.#add(port, bytes, opens ? 1 : 0);
  }
  takeBack(port: MessagePort, bytes: number, opens: boolean): void {
    this.#add(port, -bytes, opens ? -1 : 0);
  }

  /** All that one file was given; 0: there was none. */
  giveBack(port: MessagePort, bytes: number): void {
    if (bytes > 0) this.takeBack(port, bytes, true);
  }

  get underWay(): UnderWay {
    const sum = { bytes: 0, files: 0 };
    for (const { bytes, files } of this.#byPort.values()) {
      sum.bytes += bytes;
      sum.files += files;
    }
    return sum;
  }

  #add(port: MessagePort, bytes: number, files: number): void {
    const grant = this.#byPort.get(port);
    if (grant === undefined) return;
    grant.bytes += bytes;
    grant.files += files;
  }
}
