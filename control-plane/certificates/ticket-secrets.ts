import type { Clock } from '#core/clock.ts';
import type { TicketSecret } from '#core/contract/ticket-secrets.ts';
import { newSecret } from '../secrets.ts';
import type { Records } from '../state/records.ts';

/** How long one is used: what it protects can be read by who steals it, so it is not kept for longer. */
const LIFE_MS = 12 * 3_600_000;
/** How long before its time edges can know the next one. */
const AHEAD_MS = 2 * 3_600_000;

const RECORD = { kind: 'ticket-keys', id: 'edges' } as const;

/** The secrets of session tickets, made when they are asked for, and forgotten when their time is over. */
export class TicketSecrets {
  readonly #records: Records;
  readonly #clock: Clock;

  constructor(records: Records, clock: Clock) {
    this.#records = records;
    this.#clock = clock;
  }

  /** The one in use, and the next where its time comes soon. */
  async current(): Promise<readonly TicketSecret[]> {
    for (;;) {
      const now = this.#clock.now();
      const record = await this.#records.get(RECORD);
      // Written here.
      const present = (record?.value ?? []) as readonly TicketSecret[];
      const secrets = secretsAt(present, now, newSecret);
      if (secrets === present) return secrets;
      // Of two control planes at once one is second, and takes what the first has made.
      const put = await this.#records.put({ ...RECORD, value: secrets }, record?.revision ?? 0);
      if (put !== undefined) return secrets;
    }
  }
}

/**
 * What there is to be of secrets at a time: `present` itself if that is it.
 * @param now ms since the Unix epoch
 */
export function secretsAt(
  present: readonly TicketSecret[],
  now: number,
  make: () => string,
): readonly TicketSecret[] {
  const inUse = present.findLastIndex(({ from }) => from <= now);
  const kept = inUse <= 0 ? present : present.slice(inUse);
  const last = kept.at(-1);
  if (last === undefined || last.from + LIFE_MS <= now) return [{ secret: make(), from: now }];
  const nextFrom = last.from + LIFE_MS;
  if (nextFrom - now > AHEAD_MS) return kept;
  return [...kept, { secret: make(), from: nextFrom }];
}
