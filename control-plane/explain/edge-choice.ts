import type { Config } from '#core/contract/event.ts';
import type { Explanation } from '#core/contract/explain.ts';
import type { Node } from '#core/contract/node.ts';
import type { Site } from '#core/contract/site.ts';
import { CanopyError } from '#core/errors.ts';
import { parsePrefix } from '#core/prefix.ts';
import type { Services } from '../api/services.ts';
import { routesNow } from '../routing/now.ts';
import type { ExplainRequest } from './request.ts';

export interface ChosenEdge {
  readonly node: Node;
  readonly by: NonNullable<Explanation['edge']>['by'];
  readonly why: string;
}

/**
 * The edge that the request would go to.
 * @param asker the address that the question comes from
 * @param inService nodes whose lease has not ended
 * @throws CanopyError `not-found` for an edge or a location that is not there
 */
export async function chooseEdge(
  services: Pick<Services, 'geography' | 'latencies' | 'leases'>,
  config: Config,
  site: Site,
  { node: name, location, client }: ExplainRequest,
  asker: string,
  inService: ReadonlySet<string>,
): Promise<ChosenEdge | undefined> {
  const edges = config.nodes.filter(({ tier }) => tier === 'edge');
  if (name !== undefined) {
    const node = edges.find((edge) => edge.name === name);
    if (node === undefined) throw new CanopyError('not-found', `There is no edge "${name}"`);
    return { node, by: 'node', why: 'named' };
  }
  const wellFirst = edges.toSorted(
    (a, b) => Number(inService.has(b.name)) - Number(inService.has(a.name)),
  );
  if (location !== undefined) {
    const there = wellFirst.filter((edge) => edge.location.name === location);
    const [node] = there;
    if (node === undefined) {
      throw new CanopyError('not-found', `There is no edge at location "${location}"`);
    }
    const why =
      there.length === 1 ? `of ${location}` : `the first of ${there.length} of ${location}`;
    return { node, by: 'location', why };
  }
  const address = client ?? asker;
  const by = client === undefined ? 'default' : 'client';
  const prefix = parsePrefix(address);
  const routed =
    prefix && (await routesNow(services, config)).find(site, prefix, undefined).decision.chosen[0];
  const node = edges.find((edge) => edge.name === routed?.name);
  if (node !== undefined) return { node, by, why: `where ${address} is sent` };
  const [first] = wellFirst;
  return first && { node: first, by: 'default', why: `no route leads anywhere for ${address}` };
}
