import type { Duplex } from 'node:stream';
import type { Clock } from '#core/clock.ts';

/** How a tunnel ended, and what went through it to the client. */
export interface Tunnelled {
  readonly bytes: number;
  /** `aborted`: the client broke it; `broken`: the parent did, or nothing moved for too long. */
  readonly end: 'complete' | 'aborted' | 'broken';
}

/** A parent that has switched protocols (RFC 9110 §7.8): bytes from here on, not messages. */
export class Tunnel {
  readonly #parent: Duplex;
  readonly #clock: Clock;
  readonly #idleTimeoutMs: number;

  /** @param idleTimeoutMs it is cut when for so long nothing has moved either way */
  constructor(parent: Duplex, clock: Clock, idleTimeoutMs: number) {
    this.#parent = parent;
    this.#clock = clock;
    this.#idleTimeoutMs = idleTimeoutMs;
    parent.on('error', () => undefined);
  }

  /** Gives it up unused. */
  discard(): void {
    this.#parent.destroy();
  }

  /**
   * Moves bytes both ways, each way at the pace of its reader. An end of one side is passed to the
   * other, which may still send; a break of one side breaks the other.
   * @returns once both ways have ended
   */
  join(client: Duplex): Promise<Tunnelled> {
    const parent = this.#parent;
    return new Promise((resolve) => {
      let bytes = 0;
      let movedAtMs = this.#clock.monotonicMs();
      let brokenBy: 'aborted' | 'broken' | undefined;
      const moved = (): void => {
        movedAtMs = this.#clock.monotonicMs();
      };
      const breakOff = (by: 'aborted' | 'broken'): void => {
        brokenBy ??= by;
        client.destroy();
        parent.destroy();
      };
      // One timer per idle period, not one per chunk.
      const watch = (waitMs: number) =>
        this.#clock.after(waitMs, () => {
          const leftMs = movedAtMs + this.#idleTimeoutMs - this.#clock.monotonicMs();
          if (leftMs > 0) cancel = watch(leftMs);
          else breakOff('broken');
        });
      let cancel = watch(this.#idleTimeoutMs);
      let open = 2;
      const closed = (by: 'aborted' | 'broken', side: Duplex) => (): void => {
        if (!side.readableEnded || !side.writableFinished) breakOff(by);
        if (--open > 0) return;
        cancel();
        resolve({ bytes, end: brokenBy ?? 'complete' });
      };
      client.on('error', () => breakOff('aborted'));
      // node:http2 ends a stream that was reset as if it were whole.
      client.on('aborted', () => breakOff('aborted'));
      parent.on('error', () => breakOff('broken'));
      client.on('data', moved);
      parent.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        moved();
      });
      onClose(client, closed('aborted', client));
      onClose(parent, closed('broken', parent));
      // By pipe an end goes through and an error does not, which is what half-closing takes.
      client.pipe(parent);
      parent.pipe(client);
    });
  }
}

function onClose(stream: Duplex, then: () => void): void {
  if (stream.closed) then();
  else stream.once('close', then);
}
