import { LRUCache } from 'lru-cache';
import type { Logger } from 'pino';
import { type Cancel, type Clock, delay } from '#core/clock.ts';
import type { JournalEvent } from '#core/contract/event.ts';
import type { Refusal } from '#core/contract/report.ts';
import { messageOf } from '#core/errors.ts';
import { siteChangeOf } from '#core/node/config.ts';
import type { Journal } from '../journal/journal.ts';
import type { NodeLeases } from '../journal/leases.ts';
import type { ConfigHistory, StoredVersion } from './history.ts';
import { type NodeProgress, progressOf } from './progress.ts';
import { type ConfigVersion, isUnderWay } from './version.ts';
import type { ConfigVersions } from './versions.ts';

/** How often it looks whether every node has what is rolling out. */
const LOOK_MS = 200;

/** Versions that a start looks at, to go on with those that are under way. */
const RECENT = 100;

/** Refusals that nodes go on reporting and that were heeded. */
const HEEDED = 10_000;

export interface RolloutsOptions {
  readonly history: ConfigHistory;
  readonly versions: ConfigVersions;
  readonly journal: Journal;
  readonly leases: NodeLeases;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A version and how the nodes stand to it. */
export interface Rollout {
  readonly version: ConfigVersion;
  readonly nodes: readonly NodeProgress[];
}

/** Follows each version until every node in service has it, or one has refused it, whichever control plane made it. */
export class Rollouts {
  readonly #options: RolloutsOptions;
  /** Numbers of versions that may be rolling out. */
  readonly #underWay = new Set<number>();
  readonly #heeded = new LRUCache<string, true>({ max: HEEDED });
  #seen = 0;
  #reading: Promise<void> = Promise.resolve();
  #cancel: Cancel | undefined;
  #closed = false;

  private constructor(options: RolloutsOptions) {
    this.#options = options;
    options.journal.onChange((events) => {
      if (events?.some(isOfSites) === false) return;
      this.#reading = this.#reading
        .then(() => (events === undefined ? this.#begin() : this.#notice()))
        .catch((error: unknown) => this.#complain(error));
    });
  }

  /** Goes on with the versions that are under way in the state. */
  static async open(options: RolloutsOptions): Promise<Rollouts> {
    const rollouts = new Rollouts(options);
    await rollouts.#begin();
    return rollouts;
  }

  /** @throws CanopyError `not-found` */
  async find(number: number): Promise<Rollout> {
    const { history, journal, leases } = this.#options;
    const { version } = await history.get(number);
    const { nodes } = await leases.survey();
    return { version, nodes: progressOf(version, journal.config.nodes, nodes) };
  }

  /** The rollout once nothing of it is pending, or as it stands after `waitMs`. */
  async wait(number: number, waitMs: number): Promise<Rollout> {
    const { clock } = this.#options;
    const endMs = clock.monotonicMs() + waitMs;
    for (;;) {
      const rollout = await this.find(number);
      const pending =
        rollout.version.status === 'rolling-out' ||
        rollout.nodes.some(({ status }) => status === 'pending');
      const leftMs = endMs - clock.monotonicMs();
      if (!pending || leftMs <= 0 || this.#closed) return rollout;
      await delay(clock, Math.min(LOOK_MS, leftMs));
      await this.settle();
    }
  }

  /** Heeds what a node says it cannot apply: called before the node counts as having heard of it. */
  async refused(node: string, refusals: readonly Refusal[]): Promise<void> {
    for (const { sequence, reason } of refusals) {
      const key = `${node} ${sequence}`;
      if (this.#heeded.has(key)) continue;
      const found = await this.#options.history.bySequence(sequence);
      if (found !== undefined) await this.#halt(found, node, reason);
      this.#heeded.set(key, true);
    }
  }

  /** Looks anew at what is under way. */
  async settle(): Promise<void> {
    await this.#reading;
    const { history, journal, leases } = this.#options;
    if (this.#underWay.size === 0) return;
    const { nodes } = await leases.survey();
    for (const number of this.#underWay) {
      const { version, revision } = await history.get(number);
      if (version.status !== 'rolling-out') {
        this.#underWay.delete(number);
        continue;
      }
      const progress = progressOf(version, journal.config.nodes, nodes);
      if (progress.some(({ status }) => status === 'pending')) continue;
      // If another has written meanwhile, it is looked at again.
      await history.update({ version: { ...version, status: 'complete' }, revision });
    }
  }

  close(): void {
    this.#closed = true;
    this.#cancel?.();
  }

  async #begin(): Promise<void> {
    const recent = await this.#options.history.list(RECENT);
    this.#underWay.clear();
    for (const version of recent.filter(isUnderWay)) this.#underWay.add(version.number);
    this.#seen = recent[0]?.number ?? 0;
    this.#lookLater();
  }

  /** What this or another control plane has made, or given to all: only the last can have been a canary. */
  async #notice(): Promise<void> {
    for (const { version } of await this.#options.history.since(this.#seen - 1)) {
      this.#seen = version.number;
      this.#underWay.add(version.number);
    }
    this.#lookLater();
  }

  /** Takes the version back, or leaves it where it is, as its author wished. */
  async #halt({ version, revision }: StoredVersion, node: string, reason: string): Promise<void> {
    const { history, journal, versions, log } = this.#options;
    if (version.refusals.some((refusal) => refusal.node === node)) return;
    const refused: ConfigVersion = {
      ...version,
      refusals: [...version.refusals, { node, reason }],
      ...(isUnderWay(version) && { status: 'halted' }),
    };
    log.error({ version: version.number, node, reason }, 'A node refuses a configuration');
    if (isUnderWay(version) && version.onRefusal === 'rollback') {
      // Another control plane may have made it just now.
      await journal.catchUp();
      const why = `${node} refused version ${version.number}: ${reason}`;
      if (await versions.takeBack(refused, why)) return;
    }
    if (await history.update({ version: refused, revision })) return;
    await this.#halt(await history.get(version.number), node, reason);
  }

  #lookLater(): void {
    this.#cancel?.();
    if (this.#closed || this.#underWay.size === 0) return;
    this.#cancel = this.#options.clock.after(LOOK_MS, () => void this.#look());
  }

  async #look(): Promise<void> {
    await this.settle().catch((error: unknown) => this.#complain(error));
    this.#lookLater();
  }

  #complain(error: unknown): void {
    if (!this.#closed) {
      this.#options.log.error(`Could not follow the configuration: ${messageOf(error)}`);
    }
  }
}

const isOfSites = (event: JournalEvent): boolean =>
  siteChangeOf(event) !== undefined || event.type === 'canary.end';
