import type { Site } from '#core/contract/site.ts';
import { type Need, needsOf } from '#core/rules/needs.ts';

const MESSAGES: Readonly<Record<Need, string>> = {
  asn: 'Rules ask for autonomous systems, which this edge does not know: give --geo-database',
  'network-limits': 'Limits of the network are counted by this edge alone: give --rate-limit-redis',
};

/** Says once of a set of sites what their rules need that this edge has not. */
export class Lacking {
  readonly #log: { warn(fields: object, message: string): void };
  readonly #has: Readonly<Record<Need, boolean>>;
  readonly #told = new Map<Need, string>();

  constructor(
    log: { warn(fields: object, message: string): void },
    has: Readonly<Record<Need, boolean>>,
  ) {
    this.#log = log;
    this.#has = has;
  }

  heed(sites: readonly Site[]): void {
    for (const [need, names] of Object.entries(needsOf(sites)) as [Need, readonly string[]][]) {
      const now = names.join(' ');
      if (this.#has[need] || this.#told.get(need) === now) continue;
      this.#told.set(need, now);
      if (names.length > 0) this.#log.warn({ sites: names }, MESSAGES[need]);
    }
  }
}
