import type { Cancel, Clock } from '#core/clock.ts';
import type { Watch } from './probes.ts';

export class TimeoutError extends Error {
  override readonly name = 'TimeoutError';
}

/** The time that a parent takes; that which a client takes for its content is not counted. */
export class Wait {
  readonly #clock: Clock;
  readonly #limitMs: number;
  readonly #abort: AbortController;
  readonly #watch: Watch | undefined;
  #cancel: Cancel | undefined;
  #ended = false;

  constructor(clock: Clock, limitMs: number, abort: AbortController, watch?: Watch) {
    this.#clock = clock;
    this.#limitMs = limitMs;
    this.#abort = abort;
    this.#watch = watch;
  }

  start(): void {
    if (this.#ended) return;
    this.#cancel?.();
    const cancelLimit = this.#clock.after(this.#limitMs, () =>
      this.#abort.abort(new TimeoutError(`no answer within ${this.#limitMs} ms`)),
    );
    const cancelWatch = this.#watch?.waits();
    this.#cancel = () => {
      cancelLimit();
      cancelWatch?.();
    };
  }

  end(): void {
    this.#ended = true;
    this.#cancel?.();
  }

  /** `content`, with the wait going on only while the parent has something to take, or all of it. */
  async *during(content: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
    this.#cancel?.();
    for await (const piece of content) {
      this.start();
      yield piece;
      this.#cancel?.();
    }
    this.start();
  }
}
