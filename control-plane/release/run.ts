import type { Clock } from '#core/clock.ts';
import type { Config, CurrentRelease } from '#core/contract/event.ts';
import type { Prepared, ReleaseObject } from '#core/contract/release.ts';
import type { Site } from '#core/contract/site.ts';
import { CanopyError } from '#core/errors.ts';
import type { Journal } from '../journal/journal.ts';
import type { Purges } from '../purge/purges.ts';
import type { PurgeRecord } from '../state/store.ts';
import type { ReleaseCaches } from './caches.ts';
import type { ReleaseContents } from './contents.ts';
import { aheadOf, deletedPages, type Prefetch, pushSite, switchTarget } from './order.ts';
import type { ReleaseRecord } from './record.ts';
import { type ReleaseRecords, releaseDraft } from './release-records.ts';
import type { Turns } from './turns.ts';

/** Who orders a release. */
export interface ReleaseOrderer {
  /** The name of the token. */
  readonly by: string;
  /** Called with the release in effect, as of now and when it is to change; may throw. */
  readonly check: (current: CurrentRelease | undefined) => void;
}

/** What is to be switched to. */
export interface Wanted {
  readonly objects: readonly ReleaseObject[];
  readonly prefetch?: Prefetch | undefined;
  readonly reason?: string | undefined;
}

export interface RunOptions {
  readonly journal: Journal;
  readonly purges: Purges;
  readonly clock: Clock;
  readonly records: ReleaseRecords;
  readonly turns: Turns;
  readonly contents: ReleaseContents;
  readonly caches: ReleaseCaches;
  /** Told of every change of the record. */
  readonly onChange: () => void;
}

/** One release on its way to be in effect, step by step. */
export class ReleaseRun {
  readonly #options: RunOptions;
  readonly #wanted: Wanted;
  readonly #orderer: ReleaseOrderer;
  readonly #signal: AbortSignal;
  #release: ReleaseRecord;

  constructor(
    options: RunOptions,
    release: ReleaseRecord,
    wanted: Wanted,
    orderer: ReleaseOrderer,
    signal: AbortSignal,
  ) {
    this.#options = options;
    this.#release = release;
    this.#wanted = wanted;
    this.#orderer = orderer;
    this.#signal = signal;
  }

  /** @throws CanopyError, having switched nothing */
  async run(): Promise<void> {
    const current = this.#options.journal.config.releases?.[this.#release.site];
    const manifest = await this.#putManifest(current);
    const prepared = await this.#prepare(manifest);
    const ahead = aheadOf(this.#wanted.objects, prepared.added);
    this.#signal.throwIfAborted();
    if (ahead.length > 0) await this.#publish(ahead);
    this.#signal.throwIfAborted();
    if (ahead.length > 0) await this.#prefetch(ahead);
    this.#signal.throwIfAborted();
    await this.#switch(current, { ...prepared, manifest }, ahead);
  }

  get #site(): Site {
    return pushSite(this.#options.journal.config, this.#release.site);
  }

  async #note(changed: Partial<ReleaseRecord>): Promise<void> {
    this.#release = { ...this.#release, ...changed };
    await this.#options.records.put(this.#release);
    this.#options.onChange();
  }

  /** @returns its digest */
  async #putManifest(current: CurrentRelease | undefined): Promise<string> {
    const { contents } = this.#options;
    const { site } = this.#release;
    const objects = [...this.#wanted.objects];
    const before = current === undefined ? [] : await this.#objectsOf(site, current);
    const manifest = await contents.put(site, { objects, deleted: deletedPages(before, objects) });
    await this.#note({ manifest, isHeld: true });
    return manifest;
  }

  /** Has origins hold all contents. @returns what the switch would change */
  async #prepare(manifest: string): Promise<Prepared> {
    const { contents } = this.#options;
    const { site, id } = this.#release;
    const prepared = await contents.prepare(site, id, manifest);
    await this.#note({
      bytes: prepared.bytes,
      added: prepared.added.length,
      changed: prepared.changed.length,
      deleted: prepared.deleted.length,
    });
    return prepared;
  }

  /** Where they are lost, a release is what helps. */
  async #objectsOf(site: string, { manifest }: CurrentRelease): Promise<readonly ReleaseObject[]> {
    try {
      return (await this.#options.contents.read(site, manifest)).objects;
    } catch (error) {
      if (error instanceof CanopyError && error.code === 'content-missing') return [];
      throw error;
    }
  }

  /** What pages may name is there before them. */
  async #publish(ahead: readonly ReleaseObject[]): Promise<void> {
    const { contents, caches } = this.#options;
    const { site } = this.#release;
    const additions = await contents.put(site, { objects: [...ahead], deleted: [] });
    // Noted before it is done, so that it can be undone.
    await this.#note({ step: 'publish', additions });
    await contents.publish(site, ahead);
    // Somebody may have asked for it before, and been told that it is not there.
    const paths = ahead.map(({ path }) => path);
    await caches.forget(this.#site, paths, this.#release, this.#signal);
  }

  async #prefetch(ahead: readonly ReleaseObject[]): Promise<void> {
    const { prefetch } = this.#wanted;
    const { caches } = this.#options;
    if (prefetch === undefined) return;
    const push = await caches.fetch(this.#site, ahead, prefetch, this.#release);
    await this.#note({ step: 'prefetch', push });
    await caches.fetched(push, this.#signal);
  }

  async #switch(
    current: CurrentRelease | undefined,
    { manifest, added, changed, deleted, latestMs }: Prepared & { readonly manifest: string },
    ahead: readonly ReleaseObject[],
  ): Promise<void> {
    const { clock, purges, records, turns, caches } = this.#options;
    const { id, site } = this.#release;
    const { prefetch, reason, objects } = this.#wanted;
    const isAhead = new Set(ahead.map(({ path }) => path));
    const paths = [...added.filter((path) => !isAhead.has(path)), ...changed, ...deleted];
    const superseded = current && (await records.find(site, current.id));
    await turns.assertHeld(site, id);
    await purges.orderTargets([switchTarget(this.#site, paths)], {
      mode: 'hard',
      by: this.#orderer.by,
      reason: reason ?? `release ${id}`,
      switching: {
        release: { id, manifest, atMs: Math.max(clock.now(), latestMs + 1) },
        check: (config) => this.#check(config, current),
        records: (purge) =>
          [this.#switched(purge), superseded && { ...superseded, supersededAt: purge.createdAt }]
            .filter((release) => release !== undefined)
            .map(releaseDraft),
      },
    });
    this.#options.onChange();
    const differing = new Set(paths);
    const rest = objects.filter(({ path }) => differing.has(path));
    if (prefetch === undefined || rest.length === 0) return;
    await caches.fetch(this.#site, rest, prefetch, this.#release);
  }

  /** @throws CanopyError `conflict`, and what the orderer's check throws */
  #check({ releases }: Config, before: CurrentRelease | undefined): void {
    const { site } = this.#release;
    const current = releases?.[site];
    this.#orderer.check(current);
    if (current?.sequence === before?.sequence) return;
    throw new CanopyError('conflict', `Site "${site}" has another release by now`);
  }

  #switched({ id, createdAt, sequences }: PurgeRecord): ReleaseRecord {
    const { failure: _, ...release } = this.#release;
    return {
      ...release,
      step: 'switch',
      status: 'ready',
      switchedAt: createdAt,
      sequence: sequences[0] ?? null,
      purge: id,
      supersededAt: null,
      isRetired: false,
    };
  }
}
