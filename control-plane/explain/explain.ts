import { cacheKey } from '#core/cache/key.ts';
import { type ServedSite, servedSite } from '#core/cache/served-site.ts';
import type { Config } from '#core/contract/event.ts';
import type {
  ClientAsked,
  ExplainAsked,
  Explained,
  ExplainedTier,
  Explanation,
  NodeExplanation,
} from '#core/contract/explain.ts';
import type { Node } from '#core/contract/node.ts';
import { withRoutedHosts, zonesOf } from '#core/contract/routed-hosts.ts';
import { askUp } from '#core/explain/up.ts';
import { normalizeHost, SiteDirectory } from '#core/sites.ts';
import type { Services } from '../api/services.ts';
import { chooseEdge } from './edge-choice.ts';
import { headlineOf } from './headline.ts';
import { namedPurges } from './named-purges.ts';
import { askedOf, type ExplainRequest } from './request.ts';

/** How long one node is waited for. */
const PATIENCE_MS = 3_000;
/** Hosts that are named where none is the one asked for. */
const MOST_HOSTS = 5;

type Asking = Pick<
  Services,
  'clock' | 'geography' | 'journal' | 'latencies' | 'leases' | 'questions'
>;

/** What the tiers say, and the object's key by the edge. */
interface Walked {
  readonly tiers: ExplainedTier[];
  readonly key: string | undefined;
}

const NOBODY: Walked = { tiers: [], key: undefined };

/** What nodes are known to be able to say. */
interface Standing {
  readonly inService: ReadonlySet<string>;
  readonly versions: ReadonlyMap<string, string>;
  /** Nodes that answer such questions. */
  readonly explaining: ReadonlySet<string>;
}

/**
 * Has every tier on the way of a request say what it would do with it, and puts that together.
 * @param asker the address that the question comes from
 * @param require called with the site's name before any node is asked; may throw
 * @throws CanopyError `not-found`, `invalid-input`
 */
export async function explain(
  services: Asking,
  request: ExplainRequest,
  asker: string,
  require: (site: string | undefined) => void,
): Promise<Explanation> {
  const { clock, journal } = services;
  const { config } = journal;
  const asked = askedOf(request, request.client ?? asker);
  const sites = sitesOf(config);
  const site = sites.byHost(asked.authority);
  require(site?.name);
  const about = {
    at: clock.now(),
    url: request.url,
    method: request.method,
    site: site?.name ?? null,
    sequence: config.sequence,
  };
  if (site === undefined) {
    const hosts = config.sites.flatMap(({ hosts: own }) => own).slice(0, MOST_HOSTS);
    return {
      ...about,
      headline: `No site has the host ${asked.authority}: edges answer 421 (unknown-host)`,
      verdict: 'refused',
      edge: null,
      tiers: [],
      purges: [],
      purgesSince: config.sequence,
      bans: [],
      hints: [{ text: `Hosts that there are: ${hosts.join(', ') || 'none'}`, setting: 'hosts' }],
    };
  }
  const standing = await standingOf(services);
  const edge = await chooseEdge(services, config, site, request, asker, standing.inService);
  const { tiers, key } =
    edge === undefined ? NOBODY : await walked(services, config, standing, edge.node, asked);
  const explanations = tiers.flatMap((tier) =>
    tier.status === 'explained' ? [tier.explanation] : [],
  );
  // An edge may have the host for another site, by a configuration before or after this one.
  for (const { site: own } of explanations) if (own !== null && own !== site.name) require(own);
  const served = servedSite(site, zonesOf(config));
  const named = await namedPurges(journal, {
    site: served,
    key: key ?? keyOf(served, asked),
    tags: explanations.flatMap(({ stored }) => stored.flatMap(({ tags }) => tags)),
  });
  return {
    ...about,
    headline: headlineOf(tiers, named.purges, about.at),
    verdict: edgeOf(tiers)?.verdict ?? null,
    edge: edge === undefined ? null : { node: edge.node.name, by: edge.by, why: edge.why },
    tiers,
    ...named,
    hints: hintsOf(explanations),
  };
}

/** The sites as nodes find them by the hosts of requests. */
export function sitesOf(config: Config): SiteDirectory {
  const zones = zonesOf(config);
  return new SiteDirectory(config.sites.map((site) => withRoutedHosts(site, zones)));
}

/** The key of a request that no rule changes. */
function keyOf(site: ServedSite, { scheme, authority, target }: ClientAsked): string {
  const host = site.ownHost(normalizeHost(authority));
  return cacheKey(site, { scheme, host, target: site.keying.foldTarget(target) });
}

async function standingOf({ leases }: Pick<Services, 'leases'>): Promise<Standing> {
  const [survey, heartbeats] = await Promise.all([leases.survey(), leases.heartbeats()]);
  const standing = survey.nodes.filter(({ remainingMs }) => remainingMs > 0);
  const said = [...heartbeats];
  return {
    inService: new Set(standing.map(({ node }) => node)),
    versions: new Map(said.map(([node, { version }]) => [node, version])),
    explaining: new Set(
      // A heartbeat that was kept by an older control plane has no such list.
      said.flatMap(([node, { answers }]) => ((answers ?? []).includes('explain') ? [node] : [])),
    ),
  };
}

/** What the edge, and each parent that would be asked first, up to the origin, has to say. */
async function walked(
  { questions }: Pick<Services, 'questions'>,
  { nodes }: Pick<Config, 'nodes'>,
  standing: Standing,
  edge: Node,
  asked: ExplainAsked,
): Promise<Walked> {
  const tiers: ExplainedTier[] = [];
  let key: string | undefined;
  const last = await askUp(edge.name, asked, async (name, question) => {
    const node = nodes.find((candidate) => candidate.name === name);
    if (node === undefined) return undefined;
    const { tier } = node;
    const unasked = notToBeAsked(node, standing);
    const explained =
      unasked === undefined ? await explainedBy(questions, name, question) : undefined;
    key ??= explained?.key ?? undefined;
    tiers.push(
      explained === undefined
        ? (unasked ?? { node: name, tier, status: 'silent' })
        : { node: name, tier, status: 'explained', explanation: explained.explanation },
    );
    return explained;
  });
  return { tiers: last?.next === null ? [...tiers, ...originOf(last)] : tiers, key };
}

async function explainedBy(
  questions: Services['questions'],
  node: string,
  asked: ExplainAsked,
): Promise<Explained | undefined> {
  const said = (await questions.ask([node], { explain: asked }, PATIENCE_MS)).get(node);
  return said !== undefined && 'explained' in said ? said.explained : undefined;
}

function notToBeAsked({ name, tier }: Node, standing: Standing): ExplainedTier | undefined {
  if (!standing.inService.has(name)) return { node: name, tier, status: 'not-in-service' };
  if (standing.explaining.has(name)) return undefined;
  const version = standing.versions.get(name) ?? 'unknown';
  return { node: name, tier, status: 'older-version', version };
}

/** The end of the way, where the node would ask it first. */
function originOf({ explanation: { parents } }: Explained): ExplainedTier[] {
  const [parent] = parents.order;
  return parent === undefined ? [] : [{ status: 'origin', name: parent.name, why: parent.why }];
}

const edgeOf = (tiers: readonly ExplainedTier[]): NodeExplanation | undefined =>
  tiers[0]?.status === 'explained' ? tiers[0].explanation : undefined;

/** What several tiers say of the same setting is said once. */
function hintsOf(explanations: readonly NodeExplanation[]): Explanation['hints'] {
  const hints = explanations.flatMap(({ hints: own }) => own);
  return hints.filter(({ text }, i) => hints.findIndex((other) => other.text === text) === i);
}
