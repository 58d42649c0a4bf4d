import type { ExplainAsked, Explained } from '#core/contract/explain.ts';

/** An edge, a mid-tier of its group, the shield, and one to spare. */
const MOST_TIERS = 4;

/**
 * Asks a node what it would do with a request, then the parent that it would ask first, and so on up.
 * @param ask resolves with `undefined` where the node does not tell, which is the end
 * @returns what the last one said; `undefined`: it did not
 */
export async function askUp(
  node: string,
  asked: ExplainAsked,
  ask: (node: string, asked: ExplainAsked) => Promise<Explained | undefined>,
): Promise<Explained | undefined> {
  let explained = await ask(node, asked);
  for (let tiers = 1; tiers < MOST_TIERS && explained !== undefined; tiers++) {
    const { explanation, next } = explained;
    const [parent] = explanation.parents.order;
    if (next === null || parent === undefined) return explained;
    explained = await ask(parent.name, next);
  }
  return explained;
}
