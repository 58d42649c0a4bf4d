import type { Location, Node, Tier } from '#core/contract/node.ts';
import { CanopyError } from '#core/errors.ts';
import { EDGE_LOCATIONS, MID_TIER_LOCATIONS, ORIGIN_LOCATION } from './locations.ts';

export interface Shape {
  readonly edges: number;
  readonly midTiers: number;
  /** The first edge's port, the others follow; 0: the system chooses each. */
  readonly port: number;
  /** Whether the network has an origin of its own. */
  readonly withOrigin: boolean;
  /** More than one share a Redis. */
  readonly controlPlanes: number;
}

/** A process that `canopy up` starts. */
export interface PlannedProcess {
  readonly name: string;
  readonly port: number;
}

export interface PlannedNode extends PlannedProcess {
  readonly tier: Tier;
  readonly location: Location;
}

export interface Plan {
  readonly edges: readonly PlannedNode[];
  readonly midTiers: readonly PlannedNode[];
  readonly origins: readonly PlannedNode[];
  readonly controlPlanes: readonly PlannedProcess[];
}

/** Which processes a network has, and where each listens. */
export function planNetwork({ edges, midTiers, port, withOrigin, controlPlanes }: Shape): Plan {
  const origins = withOrigin ? 1 : 0;
  const nodes = edges + midTiers + origins;
  const last = port === 0 ? 0 : port + nodes + controlPlanes - 1;
  if (last > 65_535) {
    throw new CanopyError(
      'invalid-input',
      `Ports ${port} to ${last} are needed; 65535 is the last`,
    );
  }
  const portAt = (place: number) => (port === 0 ? 0 : port + place);
  return {
    edges: several(edges, EDGE_LOCATIONS, 'edge', portAt),
    midTiers: several(midTiers, MID_TIER_LOCATIONS, 'mid-tier', (place) => portAt(edges + place)),
    origins: withOrigin
      ? [
          {
            name: 'origin',
            tier: 'origin',
            location: ORIGIN_LOCATION,
            port: portAt(edges + midTiers),
          },
        ]
      : [],
    controlPlanes: Array.from({ length: controlPlanes }, (_, place) => ({
      name: place === 0 ? 'control-plane' : `control-plane-${place + 1}`,
      port: portAt(nodes + place),
    })),
  };
}

export const allProcesses = (plan: Plan): readonly PlannedProcess[] => [
  ...plan.edges,
  ...plan.midTiers,
  ...plan.origins,
  ...plan.controlPlanes,
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
  portAt: (place: number) => number,
): PlannedNode[] {
  return Array.from({ length: count }, (_, place) => {
    const location = locations[place % locations.length] ?? ORIGIN_LOCATION;
    const round = Math.floor(place / locations.length) + 1;
    const suffix = round === 1 ? '' : `-${round}`;
    return { name: `${tier}-${location.name}${suffix}`, tier, location, port: portAt(place) };
  });
}
