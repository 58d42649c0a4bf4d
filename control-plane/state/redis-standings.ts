import type { Node, Tier } from '#core/contract/node.ts';
import type { Heartbeat, PurgeReport } from '#core/contract/report.ts';
import type { Commands, RedisConnection } from './redis-connection.ts';
import {
  ACKNOWLEDGE,
  COMPLETE,
  FORGET,
  HEARTBEAT,
  keyOf,
  PRESUME,
  reportsKey,
  STAND,
} from './redis-scripts.ts';
import {
  type Counts,
  type Grant,
  type LastHeartbeat,
  type StandingRecord,
  type Standings,
  sumOfReports,
} from './standings.ts';

/** How long reports of a purge are kept beside its record, which has them once it is complete. */
const REPORTS_KEPT_S = 24 * 60 * 60;

/** Standings that several control planes share. */
export class RedisStandings implements Standings {
  readonly #redis: RedisConnection;

  constructor(redis: RedisConnection) {
    this.#redis = redis;
  }

  async read() {
    const [completed, fences, grants, tiers] = (await this.#redis.transaction([
      ['hget', keyOf('head'), 'completed'],
      ['hgetall', keyOf('fences')],
      ['hgetall', keyOf('grants')],
      ['hgetall', keyOf('tiers')],
    ])) as [string | null, Hash, Hash, Hash];
    const nodes = Object.entries(tiers).map(([node, tier]): StandingRecord => ({
      node,
      tier: tier as Tier,
      fence: Number(fences[node] ?? 0),
      grant: readGrant(grants[node]),
    }));
    return { completedFence: Number(completed ?? 0), nodes };
  }

  async heartbeats(): Promise<ReadonlyMap<string, LastHeartbeat>> {
    const heartbeats = await this.#redis.send((client) => client.hgetall(keyOf('heartbeats')));
    return new Map(
      Object.entries(heartbeats).map(([node, text]) => [node, JSON.parse(text) as LastHeartbeat]),
    );
  }

  async resumed({ name, tier }: Node, fence: number): Promise<void> {
    await this.#redis.run(STAND, name, tier, fence);
  }

  async acknowledged({ name, tier }: Node, fence: number): Promise<void> {
    await this.#redis.run(ACKNOWLEDGE, name, tier, fence);
  }

  async heartbeat(
    { name, tier }: Node,
    heartbeat: Heartbeat,
    at: number,
    leaseMs: number,
  ): Promise<Grant | undefined> {
    const last = JSON.stringify({ ...heartbeat, at });
    const grant = await this.#redis.run(HEARTBEAT, name, tier, heartbeat.fence, leaseMs, last);
    return typeof grant === 'string' ? readGrant(grant) : undefined;
  }

  async presume(nodes: readonly Node[], leaseMs: number): Promise<void> {
    await this.#redis.run(PRESUME, leaseMs, ...nodes.flatMap(({ name, tier }) => [name, tier]));
  }

  async left({ name, tier }: Node): Promise<void> {
    await this.#redis.run(STAND, name, tier, '');
  }

  async forget({ node, grant }: StandingRecord): Promise<void> {
    await this.#redis.run(FORGET, node, grantText(grant));
  }

  async complete(fence: number, without: readonly StandingRecord[]): Promise<boolean> {
    const pairs = without.flatMap(({ node, grant }) => [node, grantText(grant)]);
    return (await this.#redis.run(COMPLETE, fence, ...pairs)) === 1;
  }

  async report(purgeId: string, node: string, report: PurgeReport): Promise<boolean> {
    const key = reportsKey(purgeId);
    const commands: Commands = [
      ['hsetnx', key, `${node} ${report.sequence}`, JSON.stringify(report)],
      ['expire', key, REPORTS_KEPT_S],
    ];
    const [added] = await this.#redis.transaction(commands);
    return added === 1;
  }

  async reports(purgeId: string): Promise<ReadonlyMap<string, Counts>> {
    const reports = await this.#redis.send((client) => client.hgetall(reportsKey(purgeId)));
    return sumOfReports(
      Object.entries(reports).map(([field, text]) => [
        field.split(' ')[0] ?? '',
        JSON.parse(text) as PurgeReport,
      ]),
    );
  }
}

type Hash = Readonly<Record<string, string>>;

const grantText = (grant: Grant | undefined): string =>
  grant === undefined ? '' : `${grant.id}:${grant.leaseMs}`;

function readGrant(text: string | undefined): Grant | undefined {
  if (text === undefined) return undefined;
  const [id, leaseMs] = text.split(':').map(Number);
  return { id: id ?? 0, leaseMs: leaseMs ?? 0 };
}
