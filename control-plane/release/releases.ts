import type { Logger } from 'pino';
import type { Cancel, Clock } from '#core/clock.ts';
import type { ReleaseObject } from '#core/contract/release.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import { Ids } from '../ids.ts';
import type { Journal } from '../journal/journal.ts';
import type { Origins } from '../origins.ts';
import type { Purges } from '../purge/purges.ts';
import type { Pushes } from '../push/pushes.ts';
import type { StateStore } from '../state/store.ts';
import { ReleaseCaches } from './caches.ts';
import { ReleaseContents } from './contents.ts';
import { normalizedObjects, pushSite, type ReleaseOrder, type RollbackOrder } from './order.ts';
import { newRelease, type ReleaseRecord } from './record.ts';
import { ReleaseRecords } from './release-records.ts';
import { type ReleaseOrderer, ReleaseRun, type RunOptions, type Wanted } from './run.ts';
import { tendSite } from './tending.ts';
import { Turns } from './turns.ts';

/** How often it is looked what has had its time. */
const TEND_MS = 30_000;
/** How soon a wait notices what another control plane has done. */
const LOOK_MS = 500;

export interface ReleasesOptions {
  readonly store: StateStore;
  readonly journal: Journal;
  readonly origins: Origins;
  readonly purges: Purges;
  readonly pushes: Pushes;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A release with how it stands. */
export interface ShownRelease extends ReleaseRecord {
  /** It is being worked on. */
  readonly isOnItsWay: boolean;
  /** It is in effect. */
  readonly isCurrent: boolean;
  /** Every node in service has switched to it, or had. */
  readonly isComplete: boolean;
}

interface Running {
  readonly abort: AbortController;
  readonly done: Promise<void>;
}

/**
 * Replaces all objects of a site at one fence, in four steps: origins get ready, what is new and no
 * page comes ahead, caches get it where that is wanted, and one event switches everybody. Until then
 * nothing that was there has changed, and what came ahead is taken back if it does not come so far.
 */
export class Releases {
  readonly #options: ReleasesOptions;
  readonly #records: ReleaseRecords;
  readonly #turns: Turns;
  readonly #parts: RunOptions;
  readonly #ids: Ids;
  /** Those that this control plane is at. */
  readonly #running = new Map<string, Running>();
  readonly #waiters = new Set<() => void>();
  #cancelTimer: Cancel | undefined;
  #tending: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: ReleasesOptions) {
    const { store, journal, origins, purges, pushes, clock } = options;
    this.#options = options;
    this.#records = new ReleaseRecords(store.records);
    this.#turns = new Turns(this.#records, clock);
    this.#ids = new Ids(clock);
    this.#parts = {
      journal,
      purges,
      clock,
      records: this.#records,
      turns: this.#turns,
      contents: new ReleaseContents(origins),
      caches: new ReleaseCaches(purges, pushes),
      onChange: () => this.#wakeAll(),
    };
    this.#tendLater();
  }

  /** For an order that is to be found again. */
  newId(): string {
    return this.#ids.next();
  }

  /**
   * Begins a release.
   * @throws InvalidInput, CanopyError `not-found`, `conflict`, whatever the orderer's check throws
   */
  async order(
    site: string,
    order: ReleaseOrder,
    orderer: ReleaseOrderer,
    id = this.newId(),
  ): Promise<ShownRelease> {
    const { journal, clock } = this.#options;
    await journal.catchUp();
    pushSite(journal.config, site);
    const objects = normalizedObjects(order.objects);
    orderer.check(journal.config.releases?.[site]);
    const { reason, prefetch } = order;
    const ordered = { id, site, by: orderer.by, objects: objects.length };
    const release = newRelease({ ...ordered, reason, createdAt: clock.now() });
    await this.#begin(release, { objects, prefetch, reason }, orderer);
    return this.#shown(release);
  }

  /**
   * Switches a site to a release that it had before.
   * @throws CanopyError `not-found`, `conflict`, whatever the orderer's check throws
   */
  async rollback(
    site: string,
    { to, reason }: RollbackOrder,
    orderer: ReleaseOrderer,
  ): Promise<ShownRelease> {
    const { journal } = this.#options;
    await journal.catchUp();
    pushSite(journal.config, site);
    const current = journal.config.releases?.[site];
    orderer.check(current);
    const earlier = current?.id ?? '';
    const ready = (await this.#records.of(site)).filter(({ status }) => status === 'ready');
    const found = ready.find(({ id }) => (to === undefined ? id < earlier : id === to));
    if (found === undefined) {
      const which = to === undefined ? 'earlier release' : `release "${to}"`;
      throw new CanopyError('not-found', `Site "${site}" has had no ${which}`);
    }
    if (found.id === current?.id || !found.isHeld) {
      const why = found.isHeld ? 'the one in effect' : 'not kept any more';
      throw new CanopyError('conflict', `Release "${found.id}" is ${why}`);
    }
    const objects = await this.objects(found);
    const { failure: _, ...release } = found;
    await this.#begin(
      { ...release, step: 'prepare', isRetired: false },
      { objects, reason },
      orderer,
    );
    return this.#shown(release);
  }

  async find(site: string, id: string): Promise<ShownRelease | undefined> {
    const found = await this.#records.find(site, id);
    return found && this.#shown(found);
  }

  /** Newest first. @param after begins behind that of this id */
  async latest(site: string, limit: number, after?: string): Promise<readonly ShownRelease[]> {
    const found = await this.#records.latest(site, limit, after);
    return Promise.all(found.map((release) => this.#shown(release)));
  }

  /** What a release has, in the order of paths. @throws CanopyError `content-missing` where it is not kept */
  async objects({ site, id, manifest }: ReleaseRecord): Promise<readonly ReleaseObject[]> {
    if (manifest === null) {
      throw new CanopyError('content-missing', `Release "${id}" has not come to its manifest`);
    }
    return (await this.#parts.contents.read(site, manifest)).objects;
  }

  /** The release once nothing more is to come of it, or as it stands after `waitMs`, or when nobody waits. */
  async wait(
    site: string,
    id: string,
    waitMs: number,
    gone: AbortSignal,
  ): Promise<ShownRelease | undefined> {
    const { clock } = this.#options;
    const endMs = clock.monotonicMs() + waitMs;
    for (;;) {
      const release = await this.find(site, id);
      const leftMs = endMs - clock.monotonicMs();
      if (release === undefined || isOver(release)) return release;
      if (leftMs <= 0 || gone.aborted || this.#closed) return release;
      if (release.purge !== null && !release.isComplete) {
        await this.#options.purges.wait(release.purge, Math.min(leftMs, LOOK_MS), gone);
        continue;
      }
      const { promise, resolve } = Promise.withResolvers<void>();
      const wake = (): void => resolve();
      this.#waiters.add(wake);
      gone.addEventListener('abort', wake);
      const cancel = clock.after(Math.min(leftMs, LOOK_MS), wake);
      await promise;
      cancel();
      gone.removeEventListener('abort', wake);
      this.#waiters.delete(wake);
    }
  }

  /**
   * Gives up a release before its switch.
   * @throws CanopyError `not-found`, `conflict` where it is too late
   */
  async cancel(site: string, id: string): Promise<ShownRelease> {
    const running = this.#running.get(id);
    running?.abort.abort(new CanopyError('conflict', 'The release was cancelled'));
    await running?.done;
    const release = await this.find(site, id);
    if (release === undefined) {
      throw new CanopyError('not-found', `Site "${site}" has no release "${id}"`);
    }
    if (release.status === 'cancelled') return release;
    const why = release.isOnItsWay ? 'another control plane is at it' : `it is ${release.status}`;
    throw new CanopyError('conflict', `Release "${id}" cannot be cancelled: ${why}`);
  }

  /** What is on its way fails. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelTimer?.();
    this.#wakeAll();
    const running = [...this.#running.values()];
    const why = new CanopyError('unavailable', 'The control plane was stopped');
    for (const { abort } of running) abort.abort(why);
    await Promise.all([...running.map(({ done }) => done), this.#tending]);
  }

  async #shown(release: ReleaseRecord): Promise<ShownRelease> {
    const { journal, purges } = this.#options;
    const { site, id } = release;
    const holder = await this.#turns.holder(site);
    const purge = release.purge === null ? undefined : await purges.find(release.purge);
    return {
      ...release,
      isOnItsWay: this.#running.has(id) || (holder?.release === id && !holder.isGone),
      isCurrent: journal.config.releases?.[site]?.id === id,
      isComplete: release.purge !== null && purge?.status !== 'pending',
    };
  }

  async #begin(release: ReleaseRecord, wanted: Wanted, orderer: ReleaseOrderer): Promise<void> {
    const { site, id } = release;
    const holder = await this.#turns.holder(site);
    await this.#turns.take(site, id);
    if (holder !== undefined) await this.#fail(site, holder.release, ABANDONED, false);
    await this.#records.put(release);
    const abort = new AbortController();
    const run = new ReleaseRun(this.#parts, release, wanted, orderer, abort.signal);
    const stop = this.#turns.keep(site, id, (error) => this.#complain('keep the turn', error));
    const done = run
      .run()
      .catch((error: unknown) => this.#fail(site, id, error, abort.signal.aborted))
      .catch((error: unknown) => this.#complain(`tidy up after release ${id}`, error))
      .then(() => {
        stop();
        return this.#turns.giveUp(site, id);
      })
      .catch((error: unknown) => this.#complain(`give up the turn of ${site}`, error))
      .finally(() => {
        this.#running.delete(id);
        this.#wakeAll();
      });
    this.#running.set(id, { abort, done });
  }

  /** It has not come to its switch. What had been in effect before stays as it was. */
  async #fail(site: string, id: string, error: unknown, isGivenUp: boolean): Promise<void> {
    const found = await this.#records.find(site, id);
    if (found === undefined) return;
    const isCancelled = isGivenUp && !this.#closed;
    const status = isCancelled ? ('cancelled' as const) : ('failed' as const);
    const code = error instanceof CanopyError ? error.code : 'internal-error';
    const failure = { code, detail: messageOf(error) };
    await this.#records.put({
      ...found,
      ...(found.status === 'preparing' && { status }),
      failure,
    });
    this.#options.log.warn({ site, release: id }, `Not switched: ${failure.detail}`);
    await tendSite(this.#parts, site);
  }

  #tendLater(): void {
    if (this.#closed) return;
    this.#cancelTimer = this.#options.clock.after(TEND_MS, () => {
      this.#tending = this.#tend()
        .catch((error: unknown) => this.#complain('tend releases', error))
        .finally(() => this.#tendLater());
    });
  }

  async #tend(): Promise<void> {
    for (const site of await this.#records.sites()) {
      const holder = await this.#turns.holder(site);
      // One that is at it here may have been held up, but it is not gone.
      const isHere = holder !== undefined && this.#running.has(holder.release);
      if (holder?.isGone === true && !isHere) {
        await this.#fail(site, holder.release, ABANDONED, false);
        await this.#turns.giveUp(site, holder.release);
      } else if (holder === undefined) await tendSite(this.#parts, site);
    }
  }

  #wakeAll(): void {
    for (const wake of this.#waiters) wake();
  }

  #complain(what: string, error: unknown): void {
    if (!this.#closed) this.#options.log.error(`Could not ${what}: ${messageOf(error)}`);
  }
}

/** Whether nothing more is to come of it. */
const isOver = ({ isOnItsWay, status, isComplete }: ShownRelease): boolean =>
  !isOnItsWay && (status !== 'ready' || isComplete);

const ABANDONED = new CanopyError('unavailable', 'The control plane that was at it is gone');
