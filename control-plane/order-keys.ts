import type { Clock } from '#core/clock.ts';
import { CanopyError } from '#core/errors.ts';
import type { Records } from './state/records.ts';
import type { IdentifiedRequest } from './state/store.ts';

/** How long a key is remembered at least, and after how many the old ones are forgotten. */
const KEPT_MS = 86_400_000;
const FORGET_EVERY = 100;
/** An order that is not found for so long after its key was taken was not carried out. */
const TAKING_MS = 30_000;
const PAGE = 200;

/** What was ordered under an `Idempotency-Key`. */
interface Claim {
  /** Of what was asked for. */
  readonly digest: string;
  /** The id of what was ordered. */
  readonly order: string;
  /** Ms since the Unix epoch. */
  readonly at: number;
}

/** Has an order that is sent again under its key be the one that it was. */
export class OrderKeys {
  readonly #records: Records;
  readonly #clock: Clock;
  #claims = 0;

  constructor(records: Records, clock: Clock) {
    this.#records = records;
    this.#clock = clock;
  }

  /**
   * Finds what was ordered under a key, or orders it.
   * @param request `undefined`: without a key each order is its own
   * @param id of a new order
   * @throws CanopyError `idempotency-mismatch`; `conflict` while the first one is being taken
   */
  async once<T>(
    request: IdentifiedRequest | undefined,
    id: string,
    find: (id: string) => Promise<T | undefined>,
    order: (id: string) => Promise<T>,
  ): Promise<T> {
    if (request === undefined) return order(id);
    const { key, digest } = request;
    const at = this.#clock.now();
    const name = { kind: 'order-key' as const, id: key };
    const claim: Claim = { digest, order: id, at };
    if ((await this.#records.put({ ...name, value: claim }, 0)) === undefined) {
      const known = await this.#ordered(request, find);
      if (known !== undefined) return known;
      await this.#records.put({ ...name, value: claim });
    }
    if (this.#claims++ % FORGET_EVERY === 0) await this.#forgetOld(at - KEPT_MS);
    try {
      return await order(id);
    } catch (error) {
      // Refused, it may be sent again in other words.
      await this.#records.delete(name);
      throw error;
    }
  }

  async #ordered<T>(
    { key, digest }: IdentifiedRequest,
    find: (id: string) => Promise<T | undefined>,
  ): Promise<T | undefined> {
    const claim = (await this.#records.get({ kind: 'order-key', id: key }))?.value as
      Claim | undefined;
    if (claim === undefined) return undefined;
    if (claim.digest !== digest) {
      throw new CanopyError(
        'idempotency-mismatch',
        `The Idempotency-Key was used for another request, ${claim.order}`,
      );
    }
    const known = await find(claim.order);
    if (known === undefined && this.#clock.now() - claim.at < TAKING_MS) {
      throw new CanopyError('conflict', 'The order of this Idempotency-Key is being taken');
    }
    return known;
  }

  async #forgetOld(before: number): Promise<void> {
    for (let after = ''; ;) {
      const page = await this.#records.list('order-key', { limit: PAGE, after });
      for (const record of page) {
        if ((record.value as Claim).at < before) await this.#records.delete(record);
      }
      after = page.at(-1)?.id ?? '';
      if (page.length < PAGE) return;
    }
  }
}
