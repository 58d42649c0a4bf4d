import type { Config, CurrentRelease, JournalEvent, SiteChange } from '#core/contract/event.ts';
import { type Ban, siteOfTarget } from '#core/contract/purge.ts';
import type { Site } from '#core/contract/site.ts';

/**
 * The configuration after `event`. Sites, nodes and certificates stay ordered by name, so that a configuration
 * built from events equals the snapshot of the same sequence. A notice, and a purge that bans and switches
 * nothing, only move it.
 */
export function applyEvent(config: Config, event: JournalEvent): Config {
  const { releases: before = {}, ...rest } = config;
  const releases = releasesAfter(before, event);
  const next: Config = {
    ...rest,
    sequence: event.sequence,
    bans: bansAfter(config.bans, event),
    ...(Object.keys(releases).length > 0 && { releases }),
  };
  const change = siteChangeOf(event);
  if (change !== undefined) return { ...next, sites: changeSites(config.sites, change) };
  switch (event.type) {
    case 'canary.begin':
      return { ...next, canary: event.canary };
    case 'canary.end': {
      const { canary: _, ...without } = next;
      return without;
    }
    case 'node.put':
      return { ...next, nodes: changeNamed(config.nodes, [event.node], []) };
    case 'node.delete':
      return { ...next, nodes: changeNamed(config.nodes, [], [event.name]) };
    case 'certificate.put':
      return { ...next, certificates: changeNamed(config.certificates, [event.certificate], []) };
    case 'certificate.delete':
      return { ...next, certificates: changeNamed(config.certificates, [], [event.name]) };
    case 'network.put':
      return { ...next, network: event.network };
    default:
      return next;
  }
}

/** Whether an event only tells that something has changed which the configuration does not hold. */
export const isNotice = (event: JournalEvent | undefined): boolean =>
  event?.type === 'push' || event?.type === 'latencies';

/** The bans after `event`. */
export function bansAfter(bans: readonly Ban[], event: JournalEvent): Ban[] {
  switch (event.type) {
    case 'purge': {
      const { id, mode, target } = event.purge;
      return mode === 'ban' ? [...bans, { id, sequence: event.sequence, target }] : [...bans];
    }
    case 'ban.lift':
      return bans.filter(({ id }) => id !== event.id);
    default: {
      const deleted = siteChangeOf(event)?.delete ?? [];
      return bans.filter(({ target }) => !deleted.includes(siteOfTarget(target) ?? ''));
    }
  }
}

/** The release that an event switches a site to. */
export function switchOf(event: JournalEvent): readonly [site: string, CurrentRelease] | undefined {
  if (event.type !== 'purge' || event.purge.release === undefined) return undefined;
  const site = siteOfTarget(event.purge.target);
  return site === undefined
    ? undefined
    : [site, { ...event.purge.release, sequence: event.sequence }];
}

/** A site that is deleted takes its release along. */
function releasesAfter(
  before: NonNullable<Config['releases']>,
  event: JournalEvent,
): NonNullable<Config['releases']> {
  const deleted = siteChangeOf(event)?.delete ?? [];
  const kept = Object.entries(before).filter(([site]) => !deleted.includes(site));
  const switched = switchOf(event);
  return Object.fromEntries(switched === undefined ? kept : [...kept, switched]);
}

/** What an event does to the sites of every node, if anything. */
export function siteChangeOf(event: JournalEvent): SiteChange | undefined {
  switch (event.type) {
    case 'site.put':
      return { put: [event.site], delete: [] };
    case 'site.delete':
      return { put: [], delete: [event.name] };
    case 'sites.change':
      return event.change;
    default:
      return undefined;
  }
}

export const changeSites = (sites: readonly Site[], change: SiteChange): Site[] =>
  changeNamed(sites, change.put, change.delete);

interface Named {
  readonly name: string;
}

function changeNamed<T extends Named>(
  list: readonly T[],
  put: readonly T[],
  deleted: readonly string[],
): T[] {
  const gone = new Set([...put.map(({ name }) => name), ...deleted]);
  return [...list.filter(({ name }) => !gone.has(name)), ...put].toSorted((a, b) =>
    a.name < b.name ? -1 : 1,
  );
}
