import { randomUUID } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import type { Logger } from 'pino';
import type { Cancel, Clock } from '#core/clock.ts';
import type { Config, JournalEvent } from '#core/contract/event.ts';
import type { Node } from '#core/contract/node.ts';
import type { PurgeTarget, ReleaseSwitch } from '#core/contract/purge.ts';
import type { Acknowledgement } from '#core/contract/report.ts';
import { messageOf } from '#core/errors.ts';
import type { Change, Journal } from '../journal/journal.ts';
import type { NodeLeases, Survey } from '../journal/leases.ts';
import type { Draft } from '../state/records.ts';
import type { Standings } from '../state/standings.ts';
import type { IdentifiedRequest, PurgeRecord, StateStore } from '../state/store.ts';
import { assertRoom } from './bans.ts';
import { assertSame } from './identity.ts';
import { planPurge, type PurgeRequest } from './plan.ts';
import { fenceOf, type NodeState, settle, withCounts } from './progress.ts';

/** Completed purges that still take a report that was overtaken by the stream. */
const RECENT_PURGES = 256;

export interface PurgesOptions {
  readonly store: StateStore;
  readonly journal: Journal;
  readonly leases: NodeLeases;
  readonly clock: Clock;
  readonly log: Logger;
}

/** How soon it is looked again after the state could not be reached. */
const RETRY_MS = 1_000;

/** Who orders a purge, and as what. */
export interface Orderer {
  /** The name of the token. */
  readonly by: string;
  /** Sites that it is limited to; `null`: none. */
  readonly sites: readonly string[] | null;
  /** Where the order may be sent again. */
  readonly request?: IdentifiedRequest | undefined;
}

/** What switches a site to a release along with the purge of its one target. */
export interface Switching {
  readonly release: ReleaseSwitch;
  /** Called with the configuration before anything is written; may throw. */
  readonly check: (config: Config) => void;
  /** What goes into the same transaction. */
  readonly records: (purge: PurgeRecord) => readonly Draft[];
}

/** A purge but for what it is of. */
type Order = Pick<PurgeRequest, 'mode' | 'reason'> &
  Pick<Orderer, 'by' | 'request'> & { readonly switching?: Switching };

/** Orders purges and follows each until every node in service has heeded it, whichever control plane took the order. */
export class Purges {
  readonly #options: PurgesOptions;
  /** In the order of their sequences. Progress is written down on completion; a restart asks the nodes anew. */
  readonly #pending = new Map<string, PurgeRecord>();
  readonly #completed = new LRUCache<string, PurgeRecord>({ max: RECENT_PURGES });
  readonly #idBySequence = new LRUCache<number, string>({ max: 100_000 });
  /** Ordered here, so that they need not be read when the journal tells of them. */
  readonly #own = new LRUCache<string, true>({ max: RECENT_PURGES });
  readonly #waiters = new Map<string, Set<() => void>>();
  /** Of the latest request under a key, while it is being written. */
  readonly #ordering = new Map<string, Promise<PurgeRecord>>();
  #completions = 0;
  #reading: Promise<void> = Promise.resolve();
  #lastLook: Promise<unknown> = Promise.resolve();
  #nextLook: Promise<void> | undefined;
  #cancelTimer: Cancel | undefined;
  #closed = false;

  private constructor(options: PurgesOptions) {
    this.#options = options;
    options.journal.onChange((events) => {
      this.#reading = this.#reading
        .then(() => (events === undefined ? this.#followStored() : this.#followEvents(events)))
        .catch((error: unknown) => this.#complain('follow purges', error));
    });
  }

  /** Goes on with the purges that are pending in the state. */
  static async open(options: PurgesOptions): Promise<Purges> {
    const purges = new Purges(options);
    await purges.#followStored();
    await purges.settle();
    return purges;
  }

  /** Purges that are not complete. */
  get pending(): number {
    return this.#pending.size;
  }

  /** Purges completed here since the start. */
  get completed(): number {
    return this.#completions;
  }

  /**
   * Orders a purge; one that was ordered before under the same key is found again.
   * @param check called with the targets before anything is written; may throw
   * @returns the purge, pending unless no node is in service
   * @throws InvalidInput, CanopyError `not-found`, `conflict`, `idempotency-mismatch`
   */
  async order(
    request: PurgeRequest,
    orderer: Orderer,
    check: (targets: readonly PurgeTarget[]) => void,
  ): Promise<PurgeRecord> {
    const { by, sites: reach, request: identified } = orderer;
    const order = (): Promise<PurgeRecord> =>
      this.#order({ ...request, by, request: identified }, (config) => {
        const targets = planPurge(request, config, reach);
        check(targets);
        return targets;
      });
    if (identified === undefined) return order();
    const { key } = identified;
    const before = this.#ordering.get(key)?.catch(() => undefined) ?? Promise.resolve();
    const ordering = before.then(async () => {
      const known = await this.#orderedAs(identified);
      if (known !== undefined) return known;
      return order().catch(async (error: unknown) => {
        // Another control plane may have come first, or it was written all the same.
        return (await this.#orderedAs(identified)) ?? Promise.reject(error);
      });
    });
    this.#ordering.set(key, ordering);
    try {
      return await ordering;
    } finally {
      if (this.#ordering.get(key) === ordering) this.#ordering.delete(key);
    }
  }

  /** Orders a purge of targets that are known, on behalf of who made it necessary. */
  orderTargets(
    targets: readonly PurgeTarget[],
    order: Omit<Order, 'request'>,
  ): Promise<PurgeRecord> {
    return this.#order({ ...order, request: undefined }, () => targets);
  }

  /** @throws CanopyError `idempotency-mismatch` */
  async #orderedAs(request: IdentifiedRequest): Promise<PurgeRecord | undefined> {
    const known = await this.#options.store.purgeByKey(request.key);
    if (known === undefined) return undefined;
    assertSame(known, request);
    return this.find(known.id);
  }

  async #order(
    { mode, reason, by, request: identified, switching }: Order,
    targetsIn: (config: Config) => readonly PurgeTarget[],
  ): Promise<PurgeRecord> {
    const id = randomUUID();
    this.#own.set(id, true);
    let purge: PurgeRecord | undefined;
    const plan = (config: Config): Change => {
      const targets = targetsIn(config);
      if (mode === 'ban') assertRoom(config, targets);
      switching?.check(config);
      const ordered = {
        id,
        mode,
        by,
        ...(reason !== undefined && { reason }),
        targets,
        ...(identified !== undefined && { request: identified }),
        ...(switching !== undefined && { release: switching.release.id }),
      };
      const release = switching && { release: switching.release };
      return {
        entries: targets.map((target) => ({
          type: 'purge',
          purge: { id, mode, target, ...release },
        })),
        alongside: (events) => {
          purge = newPurge(ordered, events);
          return { purge, records: switching?.records(purge) ?? [] };
        },
      };
    };
    await this.#options.journal.change(plan).catch((error: unknown) => {
      // It may have been written all the same, and is then followed when the journal tells of it.
      this.#own.delete(id);
      throw error;
    });
    if (purge !== undefined) this.#follow(purge);
    await this.settle();
    return (await this.find(id)) ?? Promise.reject(new Error(`Purge ${id} was not written`));
  }

  async find(id: string): Promise<PurgeRecord | undefined> {
    const { standings, store } = this.#services;
    const purge = this.#live(id) ?? (await store.purge(id));
    return purge && withCounts(purge, await standings.reports(id));
  }

  /** The latest `limit` of those before a sequence, newest first. */
  async latest(limit: number, before?: number): Promise<readonly PurgeRecord[]> {
    const { standings, store } = this.#services;
    const stored = await store.purges(limit, before);
    return Promise.all(
      stored.map(async (purge) => {
        const live = this.#live(purge.id);
        return live === undefined ? purge : withCounts(live, await standings.reports(purge.id));
      }),
    );
  }

  /** The purge once it is complete, or as it stands after `waitMs`, or when nobody wants to know any more. */
  async wait(id: string, waitMs: number, gone?: AbortSignal): Promise<PurgeRecord | undefined> {
    if (waitMs > 0 && this.#live(id) === undefined) {
      // Another control plane may have taken the order just now.
      await this.#options.journal.catchUp();
      await this.#reading;
    }
    if (this.#pending.has(id) && waitMs > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const waiters = this.#waiters.get(id) ?? new Set();
      this.#waiters.set(id, waiters.add(resolve));
      const cancel = this.#options.clock.after(waitMs, resolve);
      gone?.addEventListener('abort', () => resolve());
      await promise;
      cancel();
      waiters.delete(resolve);
    }
    return this.find(id);
  }

  async acknowledge(node: Node, { fence, purges }: Acknowledgement): Promise<void> {
    const { standings } = this.#services;
    const late: string[] = [];
    await Promise.all(
      purges.map(async (report) => {
        const id = this.#idBySequence.get(report.sequence);
        if (id === undefined || !(await standings.report(id, node.name, report))) return;
        if (this.#completed.has(id)) late.push(id);
      }),
    );
    await this.#options.leases.acknowledged(node, fence);
    await this.settle();
    for (const id of new Set(late)) await this.#record(id);
  }

  /**
   * Looks anew at how the nodes stand, and again when the next lease may have ended. All who ask in
   * one turn of the event loop share a look, for hundreds of nodes acknowledge a purge at once.
   */
  settle(): Promise<void> {
    this.#nextLook ??= this.#lastLook.then(nextTurn).then(() => {
      this.#nextLook = undefined;
      const look = this.#settleOnce();
      this.#lastLook = look.catch(() => undefined);
      return look;
    });
    return this.#nextLook;
  }

  /** Settles on no one's behalf: a state that cannot be reached is asked again later. */
  settleBehind(): void {
    this.settle().catch((error: unknown) => {
      this.#complain('settle purges', error);
      this.#settleAfter(RETRY_MS);
    });
  }

  /** Answers those who wait, with purges as they stand. */
  close(): void {
    this.#closed = true;
    this.#cancelTimer?.();
    for (const id of this.#waiters.keys()) this.#wake(id);
  }

  get #services(): { readonly store: StateStore; readonly standings: Standings } {
    const { store } = this.#options;
    return { store, standings: store.standings };
  }

  async #settleOnce(): Promise<void> {
    this.#cancelTimer?.();
    const { clock, leases } = this.#options;
    // Also while nothing is pending: a lease that others grant counts from when it is first seen.
    const survey = await leases.survey();
    const states = survey.nodes.map((standing): NodeState => ({
      ...standing,
      inService: standing.remainingMs > 0,
    }));
    const settled = [...this.#pending.values()].map((purge) => settle(purge, states, clock.now()));
    const complete = settled.filter(({ status }) => status === 'complete');
    if (complete.length > 0 && !(await this.#complete(complete, survey))) {
      return this.#settleOnce();
    }
    for (const purge of settled) {
      if (purge.status === 'complete') await this.#finish(purge);
      // A purge may be gone since: with a restored state.
      else if (this.#pending.has(purge.id)) this.#pending.set(purge.id, purge);
      if (purge.status === 'pending' && fenceOf(purge) <= survey.completedFence) {
        await this.#adopt(purge.id);
      }
    }
    if (this.#pending.size === 0) return;
    const ends = survey.nodes.map(({ remainingMs }) => remainingMs).filter((ms) => ms > 0);
    this.#settleAfter(Math.min(...ends, leases.leaseMs));
  }

  /** From now on no node that is behind may be granted a lease. @returns false if one was meanwhile */
  #complete(purges: readonly PurgeRecord[], survey: Survey): Promise<boolean> {
    const fence = Math.max(...purges.map(fenceOf));
    const behind = survey.nodes.filter((standing) => standing.fence < fence);
    return this.#options.leases.complete(fence, behind, survey);
  }

  async #finish(purge: PurgeRecord): Promise<void> {
    this.#completions++;
    this.#pending.delete(purge.id);
    this.#completed.set(purge.id, purge);
    await this.#record(purge.id);
    this.#wake(purge.id);
  }

  /** Takes over what another control plane has found complete. */
  async #adopt(id: string): Promise<void> {
    const purge = await this.#options.store.purge(id);
    if (purge?.status === 'pending') return;
    this.#pending.delete(id);
    if (purge !== undefined) this.#completed.set(id, purge);
    this.#wake(id);
  }

  #settleAfter(delayMs: number): void {
    this.#cancelTimer?.();
    if (this.#closed) return;
    this.#cancelTimer = this.#options.clock.after(delayMs, () => this.settleBehind());
  }

  /** Everything may be different: only what is in the state is pending. */
  async #followStored(): Promise<void> {
    const stored = await this.#options.store.pendingPurges();
    const ids = new Set(stored.map(({ id }) => id));
    for (const id of this.#pending.keys()) if (!ids.has(id)) await this.#adopt(id);
    for (const purge of stored) this.#follow(purge);
  }

  async #followEvents(events: readonly JournalEvent[]): Promise<void> {
    const ids = new Set(events.flatMap((event) => (event.type === 'purge' ? event.purge.id : [])));
    for (const id of ids) {
      if (this.#own.has(id)) continue;
      const purge = await this.#options.store.purge(id);
      if (purge !== undefined) this.#follow(purge);
    }
  }

  #follow(purge: PurgeRecord): void {
    for (const sequence of purge.sequences) this.#idBySequence.set(sequence, purge.id);
    if (this.#live(purge.id) !== undefined) return;
    if (purge.status === 'complete') this.#completed.set(purge.id, purge);
    else this.#pending.set(purge.id, purge);
  }

  #live(id: string): PurgeRecord | undefined {
    return this.#pending.get(id) ?? this.#completed.get(id);
  }

  /** Writes down a completed purge with all that was reported of it. */
  async #record(id: string): Promise<void> {
    const { standings, store } = this.#services;
    const purge = this.#completed.get(id);
    if (purge === undefined) return;
    try {
      const counted = withCounts(purge, await standings.reports(id));
      this.#completed.set(id, counted);
      await store.updatePurge(counted);
    } catch (error) {
      // It stays complete; if it cannot be written before the next restart, it is settled once more then.
      this.#complain(`record purge ${id}`, error);
    }
  }

  #complain(what: string, error: unknown): void {
    if (!this.#closed) this.#options.log.error(`Could not ${what}: ${messageOf(error)}`);
  }

  #wake(id: string): void {
    for (const resolve of this.#waiters.get(id) ?? []) resolve();
    this.#waiters.delete(id);
  }
}

function newPurge(
  ordered: Pick<PurgeRecord, 'id' | 'mode' | 'by' | 'targets' | 'request' | 'release'>,
  events: readonly JournalEvent[],
): PurgeRecord {
  return {
    ...ordered,
    sequences: events.map((event) => event.sequence),
    status: 'pending',
    createdAt: events[0]?.at ?? 0,
    nodes: [],
  };
}
