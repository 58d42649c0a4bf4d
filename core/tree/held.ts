import { Marks } from '#core/cache/marks.ts';
import type { Clock } from '#core/clock.ts';
import type { UpstreamSettings } from '#core/contract/site.ts';
import type { UpstreamResponse } from './attempt.ts';
import type { Choice } from './choice.ts';
import { RetryBudget } from './retry-budget.ts';
import type { Try } from './tries.ts';
import { type Errand, triesOf, Walk, type WalkHost } from './walk.ts';

/** For each mid-tier, which answers from what it has at hand; doubled, as for every mid-tier. */
const FIRST_BYTE_MS = 250;
/** For all of them. */
const TOTAL_MS = 2000;
/** What nobody holds is not looked for again so soon. */
const NOBODY_MS = 2000;

/**
 * Finds what some mid-tier still holds of an object that no parent can get: fresh, or stale where
 * that may stand in. None of them asks anybody else, so that a dead origin gets no request for it.
 */
export class Held {
  readonly #host: WalkHost;
  readonly #heldByNobody: Marks;

  constructor(clock: Clock, host: WalkHost) {
    this.#host = host;
    this.#heldByNobody = new Marks(clock);
  }

  /**
   * @param tries of the walk that has failed: who was asked then has nothing
   * @returns `undefined`: nobody holds it
   */
  async find(
    errand: Errand,
    holders: readonly Choice[],
    tries: readonly Try[],
  ): Promise<UpstreamResponse | undefined> {
    const { key } = errand;
    const asked = new Set(tries.filter(said).map(({ parent }) => parent));
    const choices = holders.filter(({ parent }) => !asked.has(parent.name));
    if (choices.length === 0 || this.#heldByNobody.has(key)) return undefined;
    try {
      const found = await new Walk(this.#host, heldErrand(errand), choices).run();
      return { ...found, tries: [...tries, ...(found.tries ?? [])] };
    } catch (error) {
      if (triesOf(error) === undefined) throw error;
      this.#heldByNobody.set(key, NOBODY_MS);
      return undefined;
    }
  }
}

/** It has answered: with what it has, had it anything. */
const said = ({ reason }: Try): boolean => reason === 'answered' || reason === 'failed';

const heldErrand = (errand: Errand): Errand => ({
  ...errand,
  settings: heldSettings(errand.settings),
  // Nothing that is asked here makes a failing origin fail more.
  budget: new RetryBudget(),
  totalMs: TOTAL_MS,
});

const heldSettings = (settings: UpstreamSettings): UpstreamSettings => ({
  ...settings,
  firstByteTimeoutMs: Math.min(settings.firstByteTimeoutMs, FIRST_BYTE_MS),
  connectTimeoutMs: Math.min(settings.connectTimeoutMs, FIRST_BYTE_MS),
  retriesPerSecond: 100,
  hedge: false,
});
