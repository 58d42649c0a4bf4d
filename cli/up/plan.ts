import type { Location, Node, Tier } from '#core/contract/node.ts';
import { CanopyError } from '#core/errors.ts';
import { EDGE_LOCATIONS, MID_TIER_LOCATIONS, ORIGIN_LOCATION } from './locations.ts';

export interface Shape {
  readonly edges: number;
  readonly midTiers: number;
  /** The first edge's port, the others follow, then the admin ports; 0: the system chooses each. */
  readonly port: number;
  /** Replicas of the network's own origin; 0: it has none. */
  readonly origins: number;
  /** More than one share a Redis. */
  readonly controlPlanes: number;
  readonly routers: number;
  /** Whether edges serve TLS, too. */
  readonly tls?: boolean;
}

/** A process that `canopy up` starts. */
export interface PlannedProcess {
  readonly name: string;
  readonly port: number;
  /** Of `/metrics` and `/healthz`. */
  readonly adminPort: number;
}

type Ports = Pick<PlannedProcess, 'port' | 'adminPort'>;

export interface PlannedNode extends PlannedProcess {
  readonly tier: Tier;
  readonly location: Location;
}

export interface PlannedEdge extends PlannedNode {
  readonly tlsPort?: number;
}

export interface Plan {
  readonly edges: readonly PlannedEdge[];
  readonly midTiers: readonly PlannedNode[];
  readonly origins: readonly PlannedNode[];
  readonly controlPlanes: readonly PlannedProcess[];
  readonly routers: readonly PlannedRouter[];
}

export interface PlannedRouter extends PlannedNode {
  readonly dnsPort: number;
}

/** Which processes a network has, and where each listens. */
export function planNetwork(shape: Shape): Plan {
  const { edges, midTiers, origins, port, controlPlanes, routers, tls = false } = shape;
  const nodes = edges + midTiers + origins;
  const processes = nodes + controlPlanes + routers;
  const firstTls = port + 2 * processes + routers;
  const last = firstTls + (tls ? edges : 0) - 1;
  if (port !== 0 && last > 65_535) {
    throw new CanopyError(
      'invalid-input',
      `Ports ${port} to ${last} are needed; 65535 is the last`,
    );
  }
  const portsAt = (place: number): Ports =>
    port === 0
      ? { port: 0, adminPort: 0 }
      : { port: port + place, adminPort: port + processes + place };
  return {
    edges: several(edges, EDGE_LOCATIONS, 'edge', portsAt).map((edge, place) => ({
      ...edge,
      ...(tls && { tlsPort: port === 0 ? 0 : firstTls + place }),
    })),
    midTiers: several(midTiers, MID_TIER_LOCATIONS, 'mid-tier', (place) => portsAt(edges + place)),
    origins: Array.from({ length: origins }, (_, place) => ({
      name: place === 0 ? 'origin' : `origin-${place + 1}`,
      tier: 'origin',
      location: ORIGIN_LOCATION,
      ...portsAt(edges + midTiers + place),
    })),
    controlPlanes: Array.from({ length: controlPlanes }, (_, place) => ({
      name: place === 0 ? 'control-plane' : `control-plane-${place + 1}`,
      ...portsAt(nodes + place),
    })),
    routers: several(routers, MID_TIER_LOCATIONS, 'router', (place) =>
      portsAt(nodes + controlPlanes + place),
    ).map((router, place) => ({
      ...router,
      dnsPort: port === 0 ? 0 : port + 2 * processes + place,
    })),
  };
}

export const allProcesses = (plan: Plan): readonly PlannedProcess[] => [
  ...plan.edges,
  ...plan.midTiers,
  ...plan.origins,
  ...plan.controlPlanes,
  ...plan.routers,
];

/** The address that `node` is registered under: the real one if known, else a port that refuses connections. */
export const registration = (node: PlannedNode, url?: string): Node => ({
  name: node.name,
  tier: node.tier,
  location: node.location,
  url: url ?? `http://127.0.0.1:${node.port}`,
  capacity: 1,
  draining: false,
});

function several(
  count: number,
  locations: readonly Location[],
  tier: Tier,
  portsAt: (place: number) => Ports,
): PlannedNode[] {
  return Array.from({ length: count }, (_, place) => {
    const location = locations[place % locations.length] ?? ORIGIN_LOCATION;
    const round = Math.floor(place / locations.length) + 1;
    const suffix = round === 1 ? '' : `-${round}`;
    return { name: `${tier}-${location.name}${suffix}`, tier, location, ...portsAt(place) };
  });
}
