/** Those who wait for something to change. */
export class Waiters {
  readonly #waiting = new Set<() => void>();

  get size(): number {
    return this.#waiting.size;
  }

  /** Resolves at the next `wake`, or when `signal` is aborted. */
  wait(signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#waiting.delete(wake);
        signal?.removeEventListener('abort', wake);
        resolve();
      };
      this.#waiting.add(wake);
      signal?.addEventListener('abort', wake, { once: true });
    });
  }

  wake(): void {
    for (const wake of this.#waiting) wake();
  }
}

/** A number of bytes that may be in use at once; who asks for more waits in line. */
export class Allowance {
  readonly #bytes: number;
  readonly #line: { bytes: number; enter: () => void }[] = [];
  #used = 0;

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  /** Whether `take` would not wait. Whatever is asked for, one is always let in. */
  has(bytes: number): boolean {
    return this.#line.length === 0 && (this.#used === 0 || this.#used + bytes <= this.#bytes);
  }

  async take(bytes: number): Promise<void> {
    if (!this.has(bytes)) {
      await new Promise<void>((enter) => this.#line.push({ bytes, enter }));
      return;
    }
    this.#used += bytes;
  }

  give(bytes: number): void {
    this.#used -= bytes;
    for (let next = this.#line[0]; next !== undefined; next = this.#line[0]) {
      if (this.#used > 0 && this.#used + next.bytes > this.#bytes) return;
      this.#line.shift();
      this.#used += next.bytes;
      next.enter();
    }
  }
}
