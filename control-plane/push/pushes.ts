import type { Logger } from 'pino';
import type { Cancel, Clock } from '#core/clock.ts';
import type { JournalEvent } from '#core/contract/event.ts';
import type { Node } from '#core/contract/node.ts';
import type {
  PushAnswer,
  PushPriority,
  PushReport,
  PushRequest,
  PushWork,
} from '#core/contract/push.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import { Ids } from '../ids.ts';
import type { Journal } from '../journal/journal.ts';
import type { NodeLeases } from '../journal/leases.ts';
import type { StateStore } from '../state/store.ts';
import { type PushOrder, targetsOf } from './plan.ts';
import { progressDraft, pushDraft, PushRecords, urlDrafts } from './push-records.ts';
import { newProgress, nodePush, type NodePush, type PushRecord, reported } from './record.ts';
import type { PushedUrls } from './urls.ts';

/** What a node is given at a time: little enough that a push of a higher priority soon has its turn. */
const URLS_AT_A_TIME = 64;
/** Pushes that may run at once. */
const MAX_RUNNING = 100;
/** Pushes that are remembered, and how many may end until the others are forgotten. */
const KEPT = 1_000;
const FORGET_EVERY = 100;
const SETTLE_MS = 5_000;
/** How soon a wait notices that another control plane has seen the end. */
const LOOK_MS = 1_000;
/** A node that is gone is waited for so long since it was last heard of: it may be restarted. */
const GONE_AFTER_MS = 30_000;

const RANK: Readonly<Record<PushPriority, number>> = { high: 0, normal: 1, low: 2 };

export interface PushesOptions {
  readonly store: StateStore;
  readonly journal: Journal;
  readonly leases: NodeLeases;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Orders pushes and follows each until every node is through. The journal only says that there is
 * something to do; nodes then ask for URLs, some at a time, and say how far they are.
 */
export class Pushes {
  readonly #options: PushesOptions;
  readonly #records: PushRecords;
  readonly #ids: Ids;
  /** In the order in which nodes are to take them. */
  #running: readonly PushRecord[] = [];
  readonly #waiters = new Set<() => void>();
  #ended = 0;
  #reading: Promise<void> = Promise.resolve();
  #cancelTimer: Cancel | undefined;
  #closed = false;

  private constructor(options: PushesOptions) {
    this.#options = options;
    this.#ids = new Ids(options.clock);
    this.#records = new PushRecords(options.store.records);
    options.journal.onChange((events) => {
      this.#reading = this.#reading
        .then(() => this.#heed(events))
        .catch((error: unknown) => this.#complain('follow pushes', error));
    });
  }

  /** Goes on with those that run. */
  static async open(options: PushesOptions): Promise<Pushes> {
    const pushes = new Pushes(options);
    await pushes.#reload();
    pushes.#settleLater();
    return pushes;
  }

  get running(): number {
    return this.#running.length;
  }

  /** For an order that is to be found again. */
  newId(): string {
    return this.#ids.next();
  }

  /** @throws InvalidInput, CanopyError `too-many-requests` */
  async order(
    order: PushOrder,
    { urls, sites, skipped }: PushedUrls,
    by: string,
    id = this.newId(),
  ): Promise<PushRecord> {
    const { journal, clock } = this.#options;
    if (this.#running.length >= MAX_RUNNING) {
      throw new CanopyError('too-many-requests', `${MAX_RUNNING} pushes are under way already`);
    }
    const now = clock.now();
    const { priority, concurrency, bytesPerSecond, variants, reason } = order;
    let push: PushRecord | undefined;
    await journal.change(({ nodes }) => {
      const targets = targetsOf(order, nodes);
      const ordered = {
        id,
        status: 'running' as const,
        sites,
        sources: {
          urls: order.urls.length,
          sitemaps: order.sitemaps,
          manifests: order.manifests,
        },
        urls: urls.length,
        skipped,
        variants,
        targets,
        priority,
        concurrency,
        bytesPerSecond,
        by,
        ...(reason !== undefined && { reason }),
        createdAt: now,
        expiresAt: now + order.expiresInSeconds * 1000,
      };
      const progress = targets.map(({ node }) => progressDraft(id, node, newProgress(now)));
      return {
        entries: [{ type: 'push', push: { id, change: 'ordered' } }],
        alongside: ([event]) => {
          push = { ...ordered, sequence: event?.sequence ?? 0 };
          return { records: [pushDraft(push), ...urlDrafts(id, urls), ...progress] };
        },
      };
    });
    await this.#reading;
    return push ?? Promise.reject(new Error(`Push ${id} was not written`));
  }

  /** With how its nodes stand. */
  async find(id: string): Promise<PushRecord | undefined> {
    const found = await this.#records.find(id);
    return found && { ...found.push, nodes: await this.#nodesOf(found.push) };
  }

  /** Newest first. */
  async latest(limit: number, after?: string): Promise<readonly PushRecord[]> {
    const latest = await this.#records.latest(limit, after);
    return Promise.all(latest.map(async (push) => ({ ...push, nodes: await this.#nodesOf(push) })));
  }

  /** The push once it has ended, or as it stands after `waitMs`, or when nobody waits any more. */
  async wait(id: string, waitMs: number, gone: AbortSignal): Promise<PushRecord | undefined> {
    const { clock } = this.#options;
    const endMs = clock.monotonicMs() + waitMs;
    for (;;) {
      const push = await this.find(id);
      const leftMs = endMs - clock.monotonicMs();
      const isOver = push?.status !== 'running' || leftMs <= 0 || gone.aborted || this.#closed;
      if (isOver) return push;
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
   * Ends a push.
   * @returns it, and the events that say so
   * @throws CanopyError `not-found`, `conflict` where it has ended
   */
  async cancel(id: string) {
    const found = await this.#records.find(id);
    if (found === undefined) throw new CanopyError('not-found', `There is no push "${id}"`);
    const { push } = found;
    if (push.status !== 'running') {
      throw new CanopyError('conflict', `Push "${id}" has ended: it is ${push.status}`);
    }
    const ended = await this.#endOf(push, 'cancelled');
    const events = await this.#options.journal.change(() => ({
      entries: [{ type: 'push', push: { id, change: 'cancelled' } }],
      alongside: () => ({ records: [pushDraft(ended)] }),
    }));
    await this.#forget(id);
    return { push: ended, events };
  }

  /** What a node has done, and what it is to do next. */
  async work(node: Node, { report, idle }: PushRequest): Promise<PushAnswer> {
    const goesOn = report === undefined || (await this.#take(node, report));
    return { goesOn, work: idle ? await this.#workFor(node) : null };
  }

  close(): void {
    this.#closed = true;
    this.#cancelTimer?.();
    this.#wakeAll();
  }

  /** @returns whether the push goes on for this node */
  async #take(node: Node, report: PushReport): Promise<boolean> {
    const push = this.#running.find(({ id }) => id === report.push);
    if (push === undefined) return false;
    const now = this.#options.clock.now();
    const progress = await this.#records.changeProgress(push.id, node.name, (before) =>
      reported(before, report, push.urls, now),
    );
    if (progress === undefined || now >= push.expiresAt) return false;
    if (progress.next >= push.urls) await this.#settle(push);
    return true;
  }

  async #workFor(node: Node): Promise<PushWork | null> {
    const work = await this.#nextFor(node);
    if (work !== null) return work;
    // The node may have heard of a push that another control plane has taken just now.
    await this.#options.journal.catchUp();
    await this.#reading;
    return this.#nextFor(node);
  }

  async #nextFor(node: Node): Promise<PushWork | null> {
    const now = this.#options.clock.now();
    for (const push of this.#running) {
      const { id, variants, concurrency, bytesPerSecond } = push;
      if (now >= push.expiresAt || !push.targets.some((target) => target.node === node.name)) {
        continue;
      }
      // Not yet, or no more, in the state: another control plane has ended it.
      const progress = await this.#records.progressOf(id, node.name);
      if (progress === undefined || progress.next >= push.urls) continue;
      const urls = await this.#records.urls(id, progress.next, URLS_AT_A_TIME);
      if (urls.length === 0) continue;
      await this.#records.changeProgress(id, node.name, (before) => ({ ...before, heardAt: now }));
      const from = progress.next;
      return {
        push: id,
        from,
        urls: [...urls],
        variants: [...variants],
        concurrency,
        bytesPerSecond,
      };
    }
    return null;
  }

  async #nodesOf(push: PushRecord): Promise<readonly NodePush[]> {
    if (push.nodes !== undefined) return push.nodes;
    const { leases, clock } = this.#options;
    const [progress, survey] = await Promise.all([
      this.#records.progress(push.id),
      leases.survey(),
    ]);
    const inService = new Set(
      survey.nodes.filter(({ remainingMs }) => remainingMs > 0).map(({ node }) => node),
    );
    const now = clock.now();
    return push.targets.map((target) => {
      const known = progress.get(target.node) ?? newProgress(push.createdAt);
      const isGone = !inService.has(target.node) && now - known.heardAt >= GONE_AFTER_MS;
      return nodePush(push, target, known, isGone);
    });
  }

  async #endOf(push: PushRecord, status: PushRecord['status']): Promise<PushRecord> {
    const nodes = await this.#nodesOf(push);
    return { ...push, status, nodes, endedAt: this.#options.clock.now() };
  }

  /** Ends the push if all are through, or its time is up. */
  async #settle({ id }: PushRecord): Promise<void> {
    const found = await this.#records.find(id);
    if (found?.push.status !== 'running') return this.#forget(id);
    const { push, revision } = found;
    const isExpired = this.#options.clock.now() >= push.expiresAt;
    const ended = await this.#endOf(push, isExpired ? 'expired' : 'complete');
    if (!isExpired && ended.nodes?.some(({ status }) => status === 'pending')) return;
    if (await this.#records.end(ended, revision)) await this.#forget(id);
  }

  /** It has ended. */
  async #forget(id: string): Promise<void> {
    this.#running = this.#running.filter((push) => push.id !== id);
    this.#wakeAll();
    await this.#tidy(id).catch((error: unknown) =>
      this.#complain(`tidy up after push ${id}`, error),
    );
  }

  async #tidy(id: string): Promise<void> {
    await this.#records.tidy(id);
    if (this.#ended++ % FORGET_EVERY === 0) await this.#records.trim(KEPT);
  }

  #settleLater(): void {
    if (this.#closed) return;
    this.#cancelTimer = this.#options.clock.after(SETTLE_MS, () => {
      this.#settleAll()
        .catch((error: unknown) => this.#complain('settle pushes', error))
        .finally(() => this.#settleLater());
    });
  }

  async #settleAll(): Promise<void> {
    for (const push of this.#running) await this.#settle(push);
  }

  async #heed(events: readonly JournalEvent[] | undefined): Promise<void> {
    if (events === undefined) return this.#reload();
    const ids = new Set(events.flatMap((event) => (event.type === 'push' ? event.push.id : [])));
    for (const id of ids) {
      const push = (await this.#records.find(id))?.push;
      const others = this.#running.filter((other) => other.id !== id);
      this.#run(push?.status === 'running' ? [...others, push] : others);
    }
  }

  async #reload(): Promise<void> {
    this.#run(await this.#records.running());
  }

  #run(running: readonly PushRecord[]): void {
    this.#running = running.toSorted(
      (a, b) => RANK[a.priority] - RANK[b.priority] || (a.id < b.id ? -1 : 1),
    );
    this.#wakeAll();
  }

  #wakeAll(): void {
    for (const wake of this.#waiters) wake();
  }

  #complain(what: string, error: unknown): void {
    if (!this.#closed) this.#options.log.error(`Could not ${what}: ${messageOf(error)}`);
  }
}
