import { randomUUID } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Logger } from 'pino';
import type { Cancel, Clock } from '#core/clock.ts';
import type { JournalEvent } from '#core/contract/event.ts';
import type { Node } from '#core/contract/node.ts';
import type { PurgeTarget } from '#core/contract/purge.ts';
import type { Acknowledgement } from '#core/contract/report.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import type { Journal } from '../journal/journal.ts';
import type { NodeLeases } from '../journal/leases.ts';
import type { IdentifiedRequest, PurgeRecord, StateStore } from '../state/store.ts';
import { assertRoom } from './bans.ts';
import { assertSame } from './identity.ts';
import { planPurge, type PurgeRequest } from './plan.ts';
import { fenceOf, type NodeState, settle, withReport } from './progress.ts';

/** Completed purges that still take a report that was overtaken by the stream. */
const RECENT_PURGES = 256;

export interface PurgesOptions {
  readonly store: StateStore;
  readonly journal: Journal;
  readonly leases: NodeLeases;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Who orders a purge, and as what. */
export interface Orderer {
  /** The name of the token. */
  readonly by: string;
  /** Sites that it is limited to; `null`: none. */
  readonly sites: readonly string[] | null;
  /** Where the order may be sent again. */
  readonly request?: IdentifiedRequest | undefined;
}

/** Orders purges and follows each until every node in service has heeded it. */
export class Purges {
  readonly #options: PurgesOptions;
  /** In the order of their sequences. Progress is written down on completion; a restart asks the nodes anew. */
  readonly #pending = new Map<string, PurgeRecord>();
  readonly #completed = new LRUCache<string, PurgeRecord>({ max: RECENT_PURGES });
  readonly #idBySequence = new LRUCache<number, string>({ max: 100_000 });
  /** `node sequence` of the reports counted, for an acknowledgement may be sent twice. */
  readonly #reported = new LRUCache<string, true>({ max: 100_000 });
  readonly #waiters = new Map<string, Set<() => void>>();
  /** Of the latest request under a key, while it is being written. */
  readonly #ordering = new Map<string, Promise<PurgeRecord>>();
  #completedFence: number;
  #completions = 0;
  #cancelTimer: Cancel | undefined;

  private constructor(options: PurgesOptions, completedFence: number) {
    this.#options = options;
    this.#completedFence = completedFence;
  }

  /** Goes on with the purges that were pending when the control plane ended. */
  static async open(options: PurgesOptions): Promise<Purges> {
    const purges = new Purges(options, await options.store.completedFence());
    for (const purge of await options.store.pendingPurges()) purges.#follow(purge);
    await purges.settle();
    return purges;
  }

  /** The highest sequence of a completed purge: a node short of it must not be in service. */
  get completedFence(): number {
    return this.#completedFence;
  }

  /** Purges that are not complete. */
  get pending(): number {
    return this.#pending.size;
  }

  /** Purges completed since the start. */
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
    const { request: identified } = orderer;
    if (identified === undefined) return this.#order(request, orderer, check);
    const { key } = identified;
    const before = this.#ordering.get(key)?.catch(() => undefined) ?? Promise.resolve();
    const ordering = before.then(async () => {
      const known = await this.#options.store.purgeByKey(key);
      if (known === undefined) return this.#order(request, orderer, check);
      assertSame(known, identified);
      return this.#live(known.id) ?? known;
    });
    this.#ordering.set(key, ordering);
    try {
      return await ordering;
    } finally {
      if (this.#ordering.get(key) === ordering) this.#ordering.delete(key);
    }
  }

  async #order(
    request: PurgeRequest,
    { by, sites: reach, request: identified }: Orderer,
    check: (targets: readonly PurgeTarget[]) => void,
  ): Promise<PurgeRecord> {
    const id = randomUUID();
    const { mode, reason } = request;
    let purge: PurgeRecord | undefined;
    await this.#options.journal.change((config) => {
      const targets = planPurge(request, config, reach);
      if (targets.length === 0) throw new CanopyError('not-found', 'There is no site to purge');
      check(targets);
      if (mode === 'ban') assertRoom(config, targets);
      const ordered = {
        id,
        mode,
        by,
        ...(reason !== undefined && { reason }),
        targets,
        ...(identified !== undefined && { request: identified }),
      };
      return {
        entries: targets.map((target) => ({ type: 'purge', purge: { id, mode, target } })),
        alongside: (events) => {
          purge = newPurge(ordered, events);
          return { purge };
        },
      };
    });
    if (purge !== undefined) this.#follow(purge);
    await this.settle();
    return (await this.find(id)) ?? Promise.reject(new Error(`Purge ${id} was not written`));
  }

  async find(id: string): Promise<PurgeRecord | undefined> {
    return this.#live(id) ?? this.#options.store.purge(id);
  }

  /** The latest `limit` of those before a sequence, newest first. */
  async latest(limit: number, before?: number): Promise<readonly PurgeRecord[]> {
    const stored = await this.#options.store.purges(limit, before);
    return stored.map((purge) => this.#live(purge.id) ?? purge);
  }

  /** The purge once it is complete, or as it stands after `waitMs`. */
  async wait(id: string, waitMs: number): Promise<PurgeRecord | undefined> {
    if (this.#pending.has(id) && waitMs > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const waiters = this.#waiters.get(id) ?? new Set();
      this.#waiters.set(id, waiters.add(resolve));
      const cancel = this.#options.clock.after(waitMs, resolve);
      await promise;
      cancel();
      waiters.delete(resolve);
    }
    return this.find(id);
  }

  async acknowledge(node: Node, { fence, purges }: Acknowledgement): Promise<void> {
    const late = purges.filter((report) => this.#count(node.name, report));
    this.#options.leases.acknowledged(node, fence);
    await this.settle();
    await Promise.all(late.map(({ sequence }) => this.#rewrite(sequence)));
  }

  /** Looks anew at how the nodes stand, and again when the next lease may have ended. */
  async settle(): Promise<void> {
    const { clock, journal, leases } = this.#options;
    this.#cancelTimer?.();
    leases.forgetAllBut(journal.config.nodes);
    const standings = leases.standings();
    const states = standings.map((standing): NodeState => ({
      ...standing,
      inService: leases.remainingMs(standing) > 0,
    }));
    const done: PurgeRecord[] = [];
    for (const purge of this.#pending.values()) {
      const settled = settle(purge, states, clock.now());
      this.#pending.set(purge.id, settled);
      if (settled.status === 'complete') done.push(settled);
    }
    // Before anything is awaited: from now on no node that is behind may be granted a lease.
    this.#completedFence = Math.max(this.#completedFence, ...done.map(fenceOf));
    this.#completions += done.length;
    for (const purge of done) {
      this.#pending.delete(purge.id);
      this.#completed.set(purge.id, purge);
    }
    if (this.#pending.size > 0) {
      const ends = standings.map((standing) => leases.remainingMs(standing)).filter((ms) => ms > 0);
      this.#cancelTimer = clock.after(Math.min(...ends, leases.leaseMs), () => void this.settle());
    }
    for (const purge of done) {
      await this.#write(purge);
      this.#wake(purge.id);
    }
  }

  /** Answers those who wait, with purges as they stand. */
  close(): void {
    this.#cancelTimer?.();
    for (const id of this.#waiters.keys()) this.#wake(id);
  }

  #follow(purge: PurgeRecord): void {
    this.#pending.set(purge.id, purge);
    for (const sequence of purge.sequences) this.#idBySequence.set(sequence, purge.id);
  }

  #live(id: string): PurgeRecord | undefined {
    return this.#pending.get(id) ?? this.#completed.get(id);
  }

  /** @returns whether the report came after the purge was complete */
  #count(node: string, report: Acknowledgement['purges'][number]): boolean {
    const purge = this.#live(this.#idBySequence.get(report.sequence) ?? '');
    const key = `${node} ${report.sequence}`;
    if (purge === undefined || this.#reported.has(key)) return false;
    this.#reported.set(key, true);
    const complete = purge.status === 'complete';
    const reported = withReport(purge, node, report);
    if (complete) this.#completed.set(purge.id, reported);
    else this.#pending.set(purge.id, reported);
    return complete;
  }

  async #rewrite(sequence: number): Promise<void> {
    const purge = this.#completed.get(this.#idBySequence.get(sequence) ?? '');
    if (purge !== undefined) await this.#write(purge);
  }

  async #write(purge: PurgeRecord): Promise<void> {
    try {
      await this.#options.store.updatePurge(purge);
    } catch (error) {
      // It stays complete; if it cannot be written before the next restart, it is settled once more then.
      this.#options.log.error(`Could not record purge ${purge.id}: ${messageOf(error)}`);
    }
  }

  #wake(id: string): void {
    for (const resolve of this.#waiters.get(id) ?? []) resolve();
    this.#waiters.delete(id);
  }
}

function newPurge(
  ordered: Pick<PurgeRecord, 'id' | 'mode' | 'by' | 'targets' | 'request'>,
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
