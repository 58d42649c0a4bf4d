import { expect, test } from 'vitest';
import type { Config, JournalEntry, JournalEvent } from '#core/contract/event.ts';
import type { Tier } from '#core/contract/node.ts';
import type { PurgeMode, PurgeTarget } from '#core/contract/purge.ts';
import type { PurgeReport } from '#core/contract/report.ts';
import { type SiteInput, siteSchema } from '#core/contract/site.ts';
import { limitMemory } from '#core/limits/limit-memory.ts';
import { applyEvent } from '#core/node/config.ts';
import { openDisk } from '#test/disk/support.ts';
import { FakeClock } from './clock.ts';
import { ownDisk, ScenarioNode, sharedDisk, type ThreadDisk } from './node.ts';
import { Gate, ScriptedOrigin } from './origin.ts';

export interface Cast {
  /** Names; the first is `edge` of the world. */
  readonly edges?: readonly string[];
  readonly midTiers?: readonly string[];
  /** Settings of the one site, over the defaults. */
  readonly site?: Partial<SiteInput>;
  /** Origin servers by priority. */
  readonly origins?: number;
  /** Countries of clients by address; see `from` of a request. */
  readonly countries?: Readonly<Record<string, string>>;
  /** Byte budget of every node. */
  readonly memoryBytes?: number;
  /** It is about what memory lets go of, so that nothing is kept on disk. */
  readonly isInMemory?: boolean;
  /** The edges are threads of one node in that they share a disk store. */
  readonly sharesDisk?: boolean;
  /** The edges are threads of one node in that they count clients together. */
  readonly sharesLimits?: boolean;
  /** Redis of the edges, asked for when the scenario begins. */
  readonly redisUrl?: () => string;
}

export interface World {
  readonly clock: FakeClock;
  readonly origin: ScriptedOrigin;
  readonly origins: readonly ScriptedOrigin[];
  /** An edge by name; without one the first. */
  readonly edge: (name?: string) => ScenarioNode;
  readonly midTier: (name?: string) => ScenarioNode;
  readonly gate: () => Gate;
  /** Purges URLs of the site, a target, or all of the site, on every node that hears; what each reports. */
  readonly purge: (
    what: readonly string[] | PurgeTarget | 'everything',
    mode?: PurgeMode,
  ) => ReadonlyMap<string, PurgeReport | undefined>;
  /** Puts an event in the journal. */
  readonly publish: (entry: JournalEntry) => void;
  /** Puts the site anew with other settings. */
  readonly changeSite: (change: Partial<SiteInput>) => void;
}

const HOST = 'www.example.org';

/**
 * A script over a whole tree in one process: real HTTP on loopback, a clock that stands still, an
 * origin that fails the scenario on any request it was not told to expect.
 */
export function scenario(
  name: string,
  castOrScript: Cast | ((world: World) => Promise<void>),
  script?: (world: World) => Promise<void>,
): void {
  const cast = typeof castOrScript === 'function' ? {} : castOrScript;
  const play = typeof castOrScript === 'function' ? castOrScript : script;
  if (play === undefined) throw new Error(`Scenario ${name} has no script`);
  test(name, () => run(cast, play));
}

async function run(cast: Cast, play: (world: World) => Promise<void>): Promise<void> {
  const clock = new FakeClock();
  const origins = Array.from({ length: cast.origins ?? 1 }, () => new ScriptedOrigin(clock));
  const memory = cast.memoryBytes ?? 64 * 1024 * 1024;
  const countryOf = (address: string): string | undefined => cast.countries?.[address];
  const isOnDisk = process.env['CANOPY_SCENARIO_STORE'] === 'disk' && cast.isInMemory !== true;
  const shared = cast.sharesDisk === true ? await openDisk({ clock }) : undefined;
  const diskOf = async (tier: Tier, thread: number): Promise<ThreadDisk | undefined> => {
    if (shared === undefined || tier !== 'edge') return isOnDisk ? ownDisk(clock) : undefined;
    if (thread > 0) return sharedDisk(shared, thread + 1);
    return { store: shared.store, dir: shared.dir, tends: true, close: async () => undefined };
  };
  const limits = cast.sharesLimits === true ? limitMemory(cast.edges?.length ?? 1) : undefined;
  const open = (tier: ScenarioNode['tier']) => async (name: string, thread: number) => {
    const disk = await diskOf(tier, thread);
    const guarding = {
      memory: limits ?? limitMemory(1),
      slot: limits === undefined ? 0 : thread,
      redisUrl: cast.redisUrl?.(),
    };
    return ScenarioNode.open(name, tier, clock, memory, countryOf, disk, guarding);
  };
  const edges = await Promise.all((cast.edges ?? ['oslo']).map(open('edge')));
  const midTiers = await Promise.all((cast.midTiers ?? ['frankfurt']).map(open('mid-tier')));
  const nodes = [...midTiers, ...edges];
  await Promise.all([...origins, ...nodes].map((server) => server.up()));

  let config = firstConfig(nodes);
  const publish = (entry: JournalEntry): ReadonlyMap<string, PurgeReport | undefined> => {
    const event: JournalEvent = { ...entry, sequence: config.sequence + 1, at: clock.now() };
    config = applyEvent(config, event);
    return new Map(nodes.map((node) => [node.name, node.apply(config, event)]));
  };
  for (const node of nodes) node.apply(config, undefined);
  const changeSite = (change: Partial<SiteInput>): void => {
    const site = siteSchema.parse({ ...siteOf(origins, cast.site), ...change });
    publish({ type: 'site.put', site });
  };
  changeSite({});

  const [origin] = origins;
  if (origin === undefined) throw new Error('A scenario has at least one origin');
  try {
    await play({
      clock,
      origin,
      origins,
      edge: (name) => named(edges, name),
      midTier: (name) => named(midTiers, name),
      gate: () => new Gate(),
      publish,
      changeSite,
      purge: (what, mode = 'hard') => {
        return publish({ type: 'purge', purge: { id: 'p', mode, target: targetOf(what) } });
      },
    });
    for (const server of origins) server.assertNothingUnexpected();
    expect(nodes.flatMap((node) => node.errors)).toEqual([]);
  } finally {
    await Promise.all([...nodes.map((node) => node.end()), ...origins.map((o) => o.down())]);
    await shared?.close();
  }
}

function targetOf(what: readonly string[] | PurgeTarget | 'everything'): PurgeTarget {
  if (what === 'everything') return { kind: 'site', site: 'site' };
  if ('kind' in what) return what;
  return { kind: 'urls', site: 'site', urls: what.map((target) => `http://${HOST}${target}`) };
}

const firstConfig = (nodes: readonly ScenarioNode[]): Config => ({
  journal: 'j',
  sequence: 1,
  network: { tierKey: 'a key for scenarios only' },
  sites: [],
  nodes: nodes.map(({ name, tier, url }) => ({
    name,
    tier,
    url,
    location: { name, latitude: 0, longitude: 0 },
    capacity: 1,
    draining: false,
  })),
  bans: [],
  certificates: [],
});

const siteOf = (
  origins: readonly ScriptedOrigin[],
  settings: Partial<SiteInput> = {},
): SiteInput => ({
  name: 'site',
  hosts: [HOST],
  origin: {
    kind: 'pull',
    servers: origins.map(({ url }, priority) => ({ url, priority })),
  },
  ...settings,
});

function named(nodes: readonly ScenarioNode[], name: string | undefined): ScenarioNode {
  const node = name === undefined ? nodes[0] : nodes.find((candidate) => candidate.name === name);
  if (node === undefined) throw new Error(`The cast has no node ${name ?? 'of this tier'}`);
  return node;
}
