import type { Logger } from 'pino';
import type { Clock } from '#core/clock.ts';
import { messageOf } from '#core/errors.ts';
import type { Records } from '../state/records.ts';

/** How exactly it is known when a token was used last. */
const GRAIN_MS = 3_600_000;

/** More tokens than anybody has. */
const MOST = 100_000;

/** When tokens were used last, to the hour, so that a request costs no writing. */
export class TokenUse {
  readonly #records: Records;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #noted = new Map<string, number>();

  constructor(records: Records, clock: Clock, log: Logger) {
    this.#records = records;
    this.#clock = clock;
    this.#log = log;
  }

  note(token: string): void {
    const hour = this.#clock.now() - (this.#clock.now() % GRAIN_MS);
    if (this.#noted.get(token) === hour) return;
    this.#noted.set(token, hour);
    this.#records.put({ kind: 'token-use', id: token, value: hour }).catch((error: unknown) => {
      this.#noted.delete(token);
      this.#log.warn(`Could not note the use of token "${token}": ${messageOf(error)}`);
    });
  }

  /** By token: the beginning of the hour in which it was used last, in ms since the Unix epoch. */
  async all(): Promise<ReadonlyMap<string, number>> {
    const records = await this.#records.list('token-use', { limit: MOST });
    return new Map(records.map(({ id, value }) => [id, Number(value)]));
  }

  async forget(token: string): Promise<void> {
    this.#noted.delete(token);
    await this.#records.delete({ kind: 'token-use', id: token });
  }
}
