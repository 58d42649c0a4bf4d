import { addressesOf, familyOf } from '#core/contract/node-addresses.ts';
import type { Node } from '#core/contract/node.ts';
import type { Candidate, Condition } from './engine/candidate.ts';
import { COUNTRIES } from './geography/countries.ts';

/** What is known of an edge beside its configuration. */
export interface EdgeView {
  readonly condition: Condition;
  readonly shed: number;
  /** Sites that want a certificate which it cannot get. */
  readonly uncertified?: ReadonlySet<string>;
}

/** The edges among `nodes`, as routing sees them. */
export function candidatesOf(
  nodes: readonly Node[],
  viewOf: (node: Node) => EdgeView,
): readonly Candidate[] {
  return nodes.filter(({ tier }) => tier === 'edge').map((node) => candidate(node, viewOf(node)));
}

function candidate(node: Node, view: EdgeView): Candidate {
  const { latitude, longitude, country } = node.location;
  const continent = country === undefined ? undefined : COUNTRIES.get(country)?.continent;
  return {
    name: node.name,
    point: { latitude, longitude },
    ...(country !== undefined && { country }),
    ...(continent !== undefined && { continent }),
    weight: node.capacity,
    families: new Set(addressesOf(node).map(familyOf)),
    ...view,
  };
}
