import type { Config } from '#core/contract/event.ts';
import { siteOfTarget } from '#core/contract/purge.ts';
import type { Site } from '#core/contract/site.ts';
import { CanopyError } from '#core/errors.ts';
import { SiteDirectory } from '#core/sites.ts';

/** @throws CanopyError `conflict` while there is one */
export function requireNoCanary({ canary }: Config): void {
  if (canary === undefined) return;
  throw new CanopyError(
    'conflict',
    `A canary is on ${canary.nodes.join(', ')}: promote or abort it first`,
  );
}

/**
 * Whether sites can be on some nodes before all others. A purge is planned by the sites that all have, so
 * whose a host is has to be the same on every node; and bans end with their site.
 * @throws CanopyError `not-found` for a node, `conflict`
 */
export function requireCanary(
  { sites, nodes, bans }: Config,
  wanted: readonly Site[],
  names: readonly string[],
): void {
  const known = new Set(nodes.map(({ name }) => name));
  const unknown = names.find((name) => !known.has(name));
  if (unknown !== undefined) throw new CanopyError('not-found', `There is no node "${unknown}"`);
  const [before, after] = [new SiteDirectory(sites), new SiteDirectory(wanted)];
  for (const host of new Set([...sites, ...wanted].flatMap(({ hosts }) => hosts))) {
    const name = host.replace(/^\*/, 'any');
    const [from, to] = [before.byHost(name)?.name, after.byHost(name)?.name];
    if (from === undefined || to === undefined || from === to) continue;
    throw new CanopyError(
      'conflict',
      `A canary cannot move "${host}" from site "${from}" to site "${to}": purges would miss it there`,
    );
  }
  const banned = bans.map(({ target }) => siteOfTarget(target));
  const lost = banned.find((site) => site !== undefined && after.byName(site) === undefined);
  if (lost === undefined) return;
  throw new CanopyError('conflict', `A canary cannot delete site "${lost}", which has bans`);
}
