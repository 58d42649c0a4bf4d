import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { cacheKey } from '#core/cache/key.ts';
import { rendezvous } from '#core/tree/rendezvous.ts';
import type { ScenarioNode } from './node.ts';

/** Makes two nodes of a scenario the threads of one: they share fills as worker threads do. */
export function asThreads(one: ScenarioNode, other: ScenarioNode): { dies: () => void } {
  const { port1, port2 } = new MessageChannel();
  meet(one, 0, port1);
  meet(other, 1, port2);
  return { dies: () => port1.close() };
}

function meet({ node }: ScenarioNode, own: number, port: MessagePort): void {
  node.siblings.sit(own);
  node.siblings.meet(1 - own, port);
}

/** Which of the two is the home of a target, and which is not. */
export function homeOf(
  target: string,
  one: ScenarioNode,
  other: ScenarioNode,
): { home: ScenarioNode; away: ScenarioNode } {
  const [first] = inOrder(target, one, ['thread-0', 'thread-1']);
  return first === 'thread-0' ? { home: one, away: other } : { home: other, away: one };
}

/** `names`, all of one weight, in the order in which `node` chooses them for a target. */
export function inOrder(
  target: string,
  { node }: ScenarioNode,
  names: readonly string[],
): readonly string[] {
  const site = node.sites.byName('site');
  if (site === undefined) throw new Error('The node has no site yet');
  const key = cacheKey(site, { scheme: 'http', host: 'www.example.org', target });
  return rendezvous(
    names.map((name) => ({ name, weight: 1 })),
    key,
  ).map(({ name }) => name);
}
