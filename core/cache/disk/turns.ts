/**
 * When what comes is passed on: at once, but with what gathers meanwhile where much comes. Who sends
 * one thing after the other, waiting for each, is not held up: nothing gathers for that.
 */
export class Turns {
  readonly #gatherMs: number;
  readonly #pass: () => number;
  #soon: NodeJS.Immediate | undefined;
  #gathering: NodeJS.Timeout | undefined;
  #isWanted = false;

  /**
   * @param gatherMs between two times that are no more urgent than that
   * @param pass called in a turn of its own; tells how much there was
   */
  constructor(gatherMs: number, pass: () => number) {
    this.#gatherMs = gatherMs;
    this.#pass = pass;
  }

  /** Has it passed on in the next turn of the event loop. */
  soon(): void {
    this.#soon ??= setImmediate(() => {
      this.#soon = undefined;
      if (this.#pass() > 1) this.#gather();
    });
  }

  /** Has it passed on with others that come in the next milliseconds. */
  later(): void {
    if (this.#gathering === undefined) this.soon();
    else this.#isWanted = true;
  }

  close(): void {
    clearImmediate(this.#soon);
    clearTimeout(this.#gathering);
  }

  // By the system's clock, for it is about the work of this process alone.
  #gather(): void {
    this.#isWanted = false;
    clearTimeout(this.#gathering);
    this.#gathering = setTimeout(() => {
      this.#gathering = undefined;
      if (this.#isWanted) this.soon();
    }, this.#gatherMs);
  }
}
