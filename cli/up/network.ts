import { join } from 'node:path';
import type { Clock } from '#core/clock.ts';
import type { Location, Tier } from '#core/contract/node.ts';
import type { Site } from '#core/contract/site.ts';
import { ApiClient } from '../api-client.ts';
import type { Children } from './children.ts';
import { type Plan, type PlannedNode, registration } from './plan.ts';
import { waitUntilServing } from './ready.ts';
import type { Registry } from './registry.ts';
import { uploadSample } from './sample.ts';
import { SITE_NAME } from './site.ts';

export interface NetworkOptions {
  /** Absolute; state, logs and the directories of the nodes are in it. */
  readonly dir: string;
  /** Threads per edge and mid-tier. */
  readonly workers: number;
  /** Per edge and mid-tier. */
  readonly memoryBytes: number;
  readonly site: Site;
}

export interface RunningPlace {
  readonly name: string;
  readonly tier: Tier;
  readonly location: Location;
  readonly url: string;
  readonly adminUrl: string;
  readonly pid: number;
}

export interface RunningNetwork {
  readonly site: Site;
  readonly edges: readonly RunningPlace[];
  readonly midTiers: readonly RunningPlace[];
  readonly origins: readonly RunningPlace[];
  readonly controlPlane: {
    readonly url: string;
    readonly adminUrl: string;
    readonly token: string;
    readonly pid: number;
  };
}

/** Starts every process of `plan` and resolves once the network serves. */
export async function startNetwork(
  plan: Plan,
  options: NetworkOptions,
  { children, registry, clock }: { children: Children; registry: Registry; clock: Clock },
): Promise<RunningNetwork> {
  const controlPlane = await children.start({
    name: plan.controlPlane.name,
    arguments: [
      'control-plane',
      ...flags({
        dir: join(options.dir, 'control-plane'),
        listen: `127.0.0.1:${plan.controlPlane.port}`,
        admin: `127.0.0.1:${plan.controlPlane.adminPort}`,
      }),
    ],
    environment: { CANOPY_ADMIN_TOKEN: registry.adminToken },
  });
  await registry.controlPlaneAt(controlPlane.url);
  const api = new ApiClient({ url: controlPlane.url, token: registry.adminToken });

  const { site } = await api.putSite(SITE_NAME, options.site);
  const planned = [...plan.edges, ...plan.midTiers, ...plan.origins];
  await registry.removeAllBut(api, new Set(planned.map((node) => node.name)));

  const credentials = new Map<string, string>();
  for (const node of planned) {
    credentials.set(node.name, await registry.add(api, registration(node)));
  }

  const startNode = async (node: PlannedNode): Promise<RunningPlace> => {
    const { url, adminUrl, pid } = await children.start({
      name: node.name,
      arguments: [
        node.tier,
        ...flags({
          name: node.name,
          'control-plane': controlPlane.url,
          dir: join(options.dir, 'nodes', node.name),
          listen: `127.0.0.1:${node.port}`,
          admin: `127.0.0.1:${node.adminPort}`,
        }),
        ...(node.tier === 'origin'
          ? []
          : flags({ workers: options.workers, memory: options.memoryBytes })),
      ],
      environment: { CANOPY_CREDENTIAL: credentials.get(node.name) ?? '' },
    });
    await registry.add(api, registration(node, url));
    return { name: node.name, tier: node.tier, location: node.location, url, adminUrl, pid };
  };

  // Parents first, so that no node finds its parents dead.
  const origins = await Promise.all(plan.origins.map(startNode));
  if (origins.length > 0 && site.origin.kind === 'push' && !registry.sampleUploaded) {
    await uploadSample(api, SITE_NAME);
    await registry.markSampleUploaded();
  }
  const midTiers = await Promise.all(plan.midTiers.map(startNode));
  const edges = await Promise.all(plan.edges.map(startNode));

  await waitUntilServing(
    {
      nodes: [...origins, ...midTiers, ...edges],
      edgeUrls: edges.map((edge) => edge.url),
      sequence: await api.sequence(),
      statuses: () => api.nodes(),
      isRunning: (name) => children.names.includes(name),
    },
    clock,
  );
  const { url, adminUrl, pid } = controlPlane;
  const token = registry.adminToken;
  return { site, edges, midTiers, origins, controlPlane: { url, adminUrl, token, pid } };
}

const flags = (values: Readonly<Record<string, string | number>>): string[] =>
  Object.entries(values).flatMap(([name, value]) => [`--${name}`, `${value}`]);
