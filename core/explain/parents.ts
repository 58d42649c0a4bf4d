import type { Config } from '#core/contract/event.ts';
import type { NodeExplanation, ParentFared, SkippedParent } from '#core/contract/explain.ts';
import { groupOf, type Node } from '#core/contract/node.ts';
import type { Site } from '#core/contract/site.ts';
import type { Choice } from '#core/tree/choice.ts';
import type { ParentHealth } from '#core/tree/health.ts';
import type { Parent } from '#core/tree/parents.ts';
import type { Foreseen } from '#core/tree/tree.ts';

type Parents = NodeExplanation['parents'];

interface Known {
  readonly config: Pick<Config, 'nodes'>;
  readonly health: Pick<ParentHealth, 'breaker'>;
  /** `Clock.monotonicMs`. */
  readonly nowMs: number;
}

/** The parents of an object in the order in which they would be asked, each with its reason, and who is left out. */
export function parentsFared(
  { stages, choices, conditions }: Foreseen,
  { origin }: Pick<Site, 'origin'>,
  asks: boolean,
  known: Known,
): Parents {
  const stageOf = (name: string): number =>
    stages.findIndex((stage) => stage.some((parent) => parent.name === name));
  const order = choices.map(({ parent, place }, i): ParentFared => {
    const { standing, share } = conditions.of(parent.name);
    const isFirst = !choices
      .slice(0, i)
      .some(({ parent: before }) => stageOf(before.name) === stageOf(parent.name));
    return {
      name: parent.name,
      tier: tierOf(parent),
      place,
      standing,
      share,
      underWay: conditions.underWay(parent.name),
      why: [
        placeWhy(place, isFirst, groupText(parent, known.config)),
        ...standingWhy(parent.name, standing, share, known),
      ].join('; '),
    };
  });
  const chosen = new Set(choices.map(({ parent }) => parent.name));
  const beyond = stages
    .flat()
    .filter(({ name }) => !chosen.has(name))
    .map((parent) => ({
      name: parent.name,
      tier: tierOf(parent),
      why: 'beyond as many as are tried',
    }));
  return { asks, order, skipped: [...beyond, ...draining(known.config, origin.kind)] };
}

/** `edge` is nobody's parent. */
const tierOf = ({ tier }: Parent): ParentFared['tier'] => (tier === 'edge' ? 'mid-tier' : tier);

function groupText({ name, tier }: Parent, { nodes }: Pick<Config, 'nodes'>): string {
  if (tier === 'customer') return 'origin servers of its priority';
  const node = nodes.find((candidate) => candidate.name === name);
  if (tier === 'origin' || node === undefined) return 'origins of the network';
  return `mid-tiers of group ${groupOf(node)}`;
}

function placeWhy(place: Choice['place'], isFirst: boolean, group: string): string {
  switch (place) {
    case 'preferred':
      return isFirst
        ? `the object's own among the ${group}`
        : `next for the object among the ${group}`;
    case 'hot':
      return `asked for so often that the first two of the ${group} take turns`;
    case 'loaded':
      return `it has more than its share of requests under way, so that others of the ${group} come first`;
    case 'open':
      return 'asked only where no other is left';
  }
}

function standingWhy(
  name: string,
  standing: ParentFared['standing'],
  share: number,
  { health, nowMs }: Known,
): string[] {
  const { isDown, openUntilMs = nowMs, onTrial, failing } = health.breaker(name);
  if (isDown) return ['health checks have it down'];
  if (standing === 'open') {
    const left = Math.max(0, Math.ceil((openUntilMs - nowMs) / 100) / 10);
    return [
      onTrial
        ? 'its breaker is open, and one request is trying it now'
        : `its breaker is open after failures, for another ${left} s`,
    ];
  }
  if (standing === 'half-open') return ['its breaker is half-open: one request may try it'];
  return [
    ...(share < 1 ? [`back of late, with ${Math.round(share * 100)} % of its weight`] : []),
    ...(failing.length > 0 ? [`${failing.length} objects have failed there of late`] : []),
  ];
}

function draining({ nodes }: Pick<Config, 'nodes'>, kind: Site['origin']['kind']): SkippedParent[] {
  const isParent = ({ tier, draining: drains }: Node): boolean =>
    drains && (tier === 'mid-tier' || (tier === 'origin' && kind === 'push'));
  return nodes.filter(isParent).map(({ name, tier }) => ({
    name,
    tier: tier === 'origin' ? 'origin' : 'mid-tier',
    why: 'it is being drained',
  }));
}
