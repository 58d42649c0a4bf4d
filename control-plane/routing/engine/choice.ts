import type { SiteRouting } from '#core/contract/routing.ts';
import { rendezvous } from '#core/tree/rendezvous.ts';
import type { DropReason } from './decide.ts';
import { costOf, type Near } from './nearness.ts';

/**
 * Ranks by nearness, and those that are about equally near by weighted hashing of the client's
 * network, or of what else is shared out: the same comes to the same edges, where its objects are.
 * @param near the nearest first
 * @param share what is hashed, beside the site's name
 */
export function chosenOf(
  near: readonly Near[],
  { name, routing }: { readonly name: string; readonly routing: SiteRouting },
  share: string,
): {
  readonly chosen: readonly Near[];
  readonly ranked: readonly Near[];
  readonly reasonOf: (candidate: Near) => DropReason | undefined;
} {
  const key = `${name} ${share}`;
  const groups = groupsOf(near, routing.nearMs).map((group) => rendezvous(group, key));
  const chosen = (groups[0] ?? []).slice(0, routing.answers);
  return {
    chosen,
    ranked: groups.flat(),
    reasonOf: (candidate) => {
      if (chosen.includes(candidate)) return undefined;
      return groups[0]?.includes(candidate) === true ? 'surplus' : 'farther';
    },
  };
}

/** Those within `nearMs` of the first that is in none yet. */
function groupsOf(near: readonly Near[], nearMs: number): readonly (readonly Near[])[] {
  const groups: Near[][] = [];
  let limitMs = -Infinity;
  for (const candidate of near) {
    const cost = costOf(candidate);
    if (cost > limitMs) {
      groups.push([]);
      limitMs = cost + nearMs;
    }
    groups.at(-1)?.push(candidate);
  }
  return groups;
}
