import { hasField } from '#core/http/fields.ts';
import type { Lookup } from './engine.ts';
import type { Fence } from './fence.ts';
import type { Fill, FillTable } from './fill.ts';
import type { ResponseFacts } from './policy/response.ts';
import { type Storability, storability } from './policy/storability.ts';
import type { Targeted } from './targets.ts';

export interface AdmissionOptions {
  readonly fence: Fence;
  readonly fills: FillTable;
  /** Whether what matches is not to be stored. */
  readonly isBanned: (targeted: Targeted) => boolean;
}

/** What keeps the answer to a fill out of the store: policy, bans, and purges that came meanwhile. */
export class Admission {
  readonly #options: AdmissionOptions;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /**
   * The tags of what a fill brings, so that purges by tag are known to concern it: those that came
   * while they were not known, and those to come.
   */
  learn(fill: Fill, facts: ResponseFacts): void {
    const { fence, fills } = this.#options;
    const { site, key, asOf } = fill;
    fill.tags = facts.tags;
    const verdict = fence.verdict({ site, key, asOf, facts });
    // Which of several purges came first is not known.
    if (verdict !== undefined) fills.mark(fill, { ...verdict, sequence: asOf + 1 });
  }

  /** Why an answer may be stored, or why not. @param bytes of its content, where they count */
  storability(
    { site, key, request }: Lookup,
    facts: ResponseFacts,
    bytes: number | undefined,
  ): Storability {
    if (this.#options.isBanned({ site: site.name, key, tags: facts.tags })) return 'banned';
    const authorized = hasField(request.fields, 'authorization');
    const cache = site.cacheFor(request.target, facts);
    return storability({ method: 'GET', authorized }, facts, bytes, cache);
  }
}
