import { RateExceeded } from '#core/errors.ts';

/** Requests of one token that may be under way at once; those that wait for something are among them. */
const MOST = 256;

const RETRY_AFTER_MS = 1_000;

/** How many requests of each token are under way at this replica. */
export class InFlight {
  readonly #counts = new Map<string, number>();

  /** @throws RateExceeded; then there is nothing to leave */
  enter(token: string): void {
    const count = this.#counts.get(token) ?? 0;
    if (count >= MOST) {
      throw new RateExceeded(`Token "${token}" has ${count} requests under way`, RETRY_AFTER_MS);
    }
    this.#counts.set(token, count + 1);
  }

  leave(token: string): void {
    const count = this.#counts.get(token) ?? 0;
    if (count > 1) this.#counts.set(token, count - 1);
    else this.#counts.delete(token);
  }
}
