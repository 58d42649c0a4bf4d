import { isIP } from 'node:net';
import { join } from 'node:path';
import type { Clock } from '#core/clock.ts';
import type { Location, Tier } from '#core/contract/node.ts';
import type { Site } from '#core/contract/site.ts';
import { ApiClient } from '../api-client.ts';
import type { LocalAuthority } from './local-authority.ts';
import type { Children, RunningChild } from './children.ts';
import { type Plan, type PlannedNode, type PlannedProcess, registration } from './plan.ts';
import { waitUntilServing } from './ready.ts';
import type { Registry } from './registry.ts';
import { uploadSample } from './sample.ts';
import { SITE_NAME } from './site.ts';

/** The zone of a network on one machine; `test` is for such (RFC 6761 §6.2). */
export const UP_ZONE = 'canopy.test';

export interface NetworkOptions {
  /** Absolute; state, logs and the directories of the nodes are in it. */
  readonly dir: string;
  /** Threads per edge and mid-tier. */
  readonly workers: number;
  /** Per edge and mid-tier. */
  readonly memoryBytes: number;
  /** Per edge and mid-tier; left out: none. */
  readonly diskBytes?: number | undefined;
  /** Edges write each request down in their directory. */
  readonly accessLog: boolean;
  readonly site: Site;
  /** Keeps the state in place of `dir`. */
  readonly redisUrl?: string;
  /** Absolute; for the control planes and routers. */
  readonly geoDatabases: readonly string[];
  /** Who certifies the edges; left out: they serve no TLS. */
  readonly authority?: LocalAuthority | undefined;
}

export interface RunningPlace {
  readonly name: string;
  readonly tier: Tier;
  readonly location: Location;
  readonly url: string;
  readonly adminUrl: string;
  readonly pid: number;
  /** Of an edge that serves TLS. */
  readonly tlsUrl?: string;
}

export interface RunningRouter extends RunningPlace {
  readonly dns: { readonly host: string; readonly port: number };
}

export interface RunningNetwork {
  readonly site: Site;
  readonly edges: readonly RunningPlace[];
  readonly midTiers: readonly RunningPlace[];
  readonly origins: readonly RunningPlace[];
  readonly routers: readonly RunningRouter[];
  /** The first answers commands; nodes turn to any. */
  readonly controlPlanes: readonly [RunningChild, ...RunningChild[]];
  readonly token: string;
}

/** Starts every process of `plan` and resolves once the network serves. */
export async function startNetwork(
  plan: Plan,
  options: NetworkOptions,
  { children, registry, clock }: { children: Children; registry: Registry; clock: Clock },
): Promise<RunningNetwork> {
  const { geoDatabases } = options;
  const geography = geoDatabases.length > 0 ? ['--geo-database', ...geoDatabases] : [];
  const startControlPlane = ({ name, port, adminPort }: PlannedProcess): Promise<RunningChild> =>
    children.start({
      name,
      arguments: [
        'control-plane',
        ...flags({
          dir: join(options.dir, 'control-plane'),
          listen: `127.0.0.1:${port}`,
          admin: `127.0.0.1:${adminPort}`,
        }),
        ...geography,
      ],
      environment: {
        CANOPY_ADMIN_TOKEN: registry.adminToken,
        ...(options.redisUrl !== undefined && { CANOPY_REDIS: options.redisUrl }),
      },
    });
  const [controlPlane, ...replicas] = await Promise.all(plan.controlPlanes.map(startControlPlane));
  if (controlPlane === undefined) throw new Error('A network has at least one control plane');
  const controlPlanes = [controlPlane, ...replicas] as const;
  await registry.controlPlaneAt(controlPlane.url);
  const api = new ApiClient({ url: controlPlane.url, token: registry.adminToken });

  const { site } = await api.putSite(SITE_NAME, options.site);
  if (options.authority !== undefined) await certify(api, site, options.authority, clock);
  const planned = [...plan.edges, ...plan.midTiers, ...plan.origins, ...plan.routers];
  await registry.removeAllBut(api, new Set(planned.map((node) => node.name)));

  const credentials = new Map<string, string>();
  for (const node of planned) {
    credentials.set(node.name, await registry.add(api, registration(node)));
  }

  const startNode = async (
    node: PlannedNode,
    own: Readonly<Record<string, string | number>> = {},
  ): Promise<RunningPlace & Pick<RunningChild, 'dns'>> => {
    const { url, adminUrl, pid, tlsUrl, dns } = await children.start({
      name: node.name,
      arguments: [
        node.tier,
        ...flags({
          name: node.name,
          dir: join(options.dir, 'nodes', node.name),
          listen: `127.0.0.1:${node.port}`,
          admin: `127.0.0.1:${node.adminPort}`,
          ...own,
        }),
        '--control-plane',
        ...controlPlanes.map((replica) => replica.url),
        ...(node.tier === 'router' || node.tier === 'edge' ? geography : []),
      ],
      environment: {
        CANOPY_CREDENTIAL: credentials.get(node.name) ?? '',
        ...(node.tier === 'edge' &&
          options.redisUrl !== undefined && { CANOPY_RATE_LIMIT_REDIS: options.redisUrl }),
      },
    });
    await registry.add(api, registration(node, url));
    const { name, tier, location } = node;
    return {
      name,
      tier,
      location,
      url,
      adminUrl,
      pid,
      ...(tlsUrl !== undefined && { tlsUrl }),
      ...(dns !== undefined && { dns }),
    };
  };
  const { workers, memoryBytes: memory, diskBytes: disk } = options;
  const cache = { workers, memory, ...(disk !== undefined && { disk }) };

  // Parents first, so that no node finds its parents dead.
  const origins = await Promise.all(plan.origins.map((node) => startNode(node)));
  if (origins.length > 0 && site.origin.kind === 'push' && !registry.sampleUploaded) {
    await uploadSample(api, SITE_NAME);
    await registry.markSampleUploaded();
  }
  const midTiers = await Promise.all(plan.midTiers.map((node) => startNode(node, cache)));
  const edges = await Promise.all(
    plan.edges.map((node) =>
      startNode(node, {
        ...cache,
        ...(node.tlsPort !== undefined && { 'tls-listen': `127.0.0.1:${node.tlsPort}` }),
        ...(options.accessLog && {
          'access-log': join(options.dir, 'nodes', node.name, 'access.log'),
        }),
      }),
    ),
  );
  if (plan.routers.length > 0) await ensureZone(api);
  const routers = await Promise.all(
    plan.routers.map(async (node): Promise<RunningRouter> => {
      const router = await startNode(node, { dns: `127.0.0.1:${node.dnsPort}`, workers });
      return { ...router, dns: router.dns ?? { host: '127.0.0.1', port: node.dnsPort } };
    }),
  );

  await waitUntilServing(
    {
      nodes: [...origins, ...midTiers, ...edges, ...routers],
      edgeUrls: edges.map((edge) => edge.url),
      sequence: await api.sequence(),
      statuses: () => api.nodes(),
      isRunning: (name) => children.names.includes(name),
    },
    clock,
  );
  return { site, edges, midTiers, origins, routers, controlPlanes, token: registry.adminToken };
}

/** The certificate of every host of the site, and of whoever asks for the machine itself. */
async function certify(
  api: ApiClient,
  { hosts }: Site,
  authority: LocalAuthority,
  clock: Clock,
): Promise<void> {
  const present = (await api.certificates()).find(({ name }) => name === 'default');
  // The operator's own stays.
  if (present !== undefined && present['issuer'] !== authority.subject) return;
  const own = hosts.filter((host) => host !== '*').map((host) => host.replace(/^\[(.*)\]$/, '$1'));
  const names = [...new Set(['localhost', '127.0.0.1', '::1', ...own])].map((value) => ({
    type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const),
    value,
  }));
  const issued = await authority.issue(names, clock.now());
  // What names no host, as a URL with an address, is presented this one.
  await api.putCertificate('default', { ...issued, privateAuthority: true });
}

/** Something to ask the routers for, unless the operator has zones already. */
async function ensureZone(api: ApiClient): Promise<void> {
  const routing = await api.routing();
  if (routing.zones.length > 0) return;
  await api.putRouting({ ...routing, zones: [{ name: UP_ZONE }] });
}

const flags = (values: Readonly<Record<string, string | number>>): string[] =>
  Object.entries(values).flatMap(([name, value]) => [`--${name}`, `${value}`]);
