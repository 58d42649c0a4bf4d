import type { Logger } from 'pino';
import type { Cancel, Clock } from '#core/clock.ts';
import {
  EMPTY_LATENCY_MAP,
  type LatencyMapContent,
  latencyMapSchema,
  type Observation,
} from '#core/contract/latency.ts';
import { validate } from '#core/contract/validate.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import type { Journal } from '../journal/journal.ts';
import type { Records } from '../state/records.ts';
import { mapOf } from './map.ts';
import { merged, type Shard, SHARDS, shardIdOf, shardSchema } from './shard.ts';

/** Events are no more frequent, so that the journal is for other things. */
const PUBLISH_MS = 60_000;
/** How often it is seen to that what nobody measures any more is forgotten. */
const AGE_MS = 3_600_000;
/** How often other control planes may come in between. */
const ATTEMPTS = 20;

const MAP = { kind: 'latency-map', id: 'map' } as const;

export interface LatenciesOptions {
  readonly records: Records;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What has been measured, kept in the state; the routers are told through the journal when it is another. */
export class LatencyStore {
  readonly #options: LatenciesOptions;
  #publishedAtMs = -Infinity;
  #scheduled: Cancel | undefined;
  #cancelAging: Cancel = () => undefined;
  #closed = false;

  constructor(options: LatenciesOptions) {
    this.#options = options;
    this.#ageLater();
  }

  /** Resolves once they are kept. */
  async add(observations: readonly Observation[]): Promise<void> {
    const shards = Map.groupBy(observations, ({ network }) => shardIdOf(network));
    for (const [id, own] of shards) await this.#merge(id, own);
    await this.#publishInTime();
  }

  /** As the routers have it, or are about to. */
  async map(): Promise<LatencyMapContent> {
    const stored = await this.#options.records.get(MAP);
    return stored === undefined
      ? EMPTY_LATENCY_MAP
      : validate(latencyMapSchema, stored.value, 'latency map');
  }

  close(): void {
    this.#closed = true;
    this.#scheduled?.();
    this.#cancelAging();
  }

  #ageLater(): void {
    this.#cancelAging = this.#options.clock.after(AGE_MS, () => {
      this.#publishBehind();
      this.#ageLater();
    });
  }

  async #merge(id: string, observations: readonly Observation[]): Promise<void> {
    const { records, clock } = this.#options;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const found = await records.get({ kind: 'latency', id });
      const before: Shard = found
        ? validate(shardSchema, found.value, 'latencies')
        : { networks: [] };
      const value = merged(before, observations, clock.now());
      const revision = await records.put({ kind: 'latency', id, value }, found?.revision ?? 0);
      if (revision !== undefined) return;
    }
    throw new CanopyError('unavailable', 'Other control planes write too much to come in between');
  }

  async #publishInTime(): Promise<void> {
    const { clock } = this.#options;
    if (this.#closed || this.#scheduled !== undefined) return;
    const waitMs = this.#publishedAtMs + PUBLISH_MS - clock.monotonicMs();
    if (waitMs <= 0) return this.#publish();
    this.#scheduled = clock.after(waitMs, () => {
      this.#scheduled = undefined;
      this.#publishBehind();
    });
  }

  #publishBehind(): void {
    this.#publish().catch((error: unknown) =>
      this.#options.log.error(`Could not publish measured latencies: ${messageOf(error)}`),
    );
  }

  async #publish(): Promise<void> {
    const { records, journal, clock } = this.#options;
    const events = await journal.change(async ({ nodes }) => {
      const stored = await records.list('latency', { limit: SHARDS });
      const shards = stored.map(({ value }) => validate(shardSchema, value, 'latencies'));
      const edges = new Set(nodes.filter(({ tier }) => tier === 'edge').map(({ name }) => name));
      const before = await this.map();
      const map = mapOf(shards, edges, clock.now(), before);
      const isEmpty = before.entries.length === 0 && map.entries.length === 0;
      const isSame = map.digest === before.digest || isEmpty;
      if (isSame) return { entries: [] };
      return {
        entries: [{ type: 'latencies', digest: map.digest }],
        alongside: () => ({ records: [{ ...MAP, value: map }] }),
      };
    });
    if (events.length > 0) this.#publishedAtMs = clock.monotonicMs();
  }
}
