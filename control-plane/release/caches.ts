import type { ReleaseObject } from '#core/contract/release.ts';
import type { Site } from '#core/contract/site.ts';
import type { Purges } from '../purge/purges.ts';
import { pushOrderSchema } from '../push/plan.ts';
import type { Pushes } from '../push/pushes.ts';
import { hostOf, pathTargets, type Prefetch } from './order.ts';
import type { ReleaseRecord } from './record.ts';

/** Of a purge: longer than any lease. */
const PURGE_WAIT_MS = 60_000;
/** What is not in caches by then is fetched as clients ask for it. */
const PREFETCH_SECONDS = 600;
const LOOK_MS = 500;

/** What releases have caches do. */
export class ReleaseCaches {
  readonly #purges: Purges;
  readonly #pushes: Pushes;

  constructor(purges: Purges, pushes: Pushes) {
    this.#purges = purges;
    this.#pushes = pushes;
  }

  /** Resolves once every cache in service has forgotten what it holds of some paths, or cannot be reached. */
  async forget(
    site: Site,
    paths: readonly string[],
    { id, by }: ReleaseRecord,
    signal?: AbortSignal,
  ): Promise<void> {
    const targets = pathTargets(site, paths);
    if (targets.length === 0) return;
    const order = { mode: 'hard' as const, by, reason: `release ${id}` };
    const purge = await this.#purges.orderTargets(targets, order);
    await this.#purges.wait(purge.id, PURGE_WAIT_MS, signal);
  }

  /** @returns the push's id */
  async fetch(
    site: Site,
    objects: readonly ReleaseObject[],
    to: Prefetch,
    { id, by }: ReleaseRecord,
  ): Promise<string> {
    const urls = objects.map(({ path }) => `http://${hostOf(site)}${path}`);
    const order = { urls, to, reason: `release ${id}`, expiresInSeconds: PREFETCH_SECONDS };
    const pushed = { urls, sites: [site.name], skipped: 0 };
    return (await this.#pushes.order(pushOrderSchema.parse(order), pushed, by)).id;
  }

  /** Resolves once the push has ended; one that nobody wants any more is cancelled. */
  async fetched(push: string, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const found = await this.#pushes.wait(push, LOOK_MS, signal);
      if (found?.status !== 'running') return;
    }
    await this.#pushes.cancel(push).catch(() => undefined);
  }
}
