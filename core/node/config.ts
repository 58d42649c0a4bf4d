import type { Config, JournalEvent } from '#core/contract/event.ts';
import { type Ban, siteOfTarget } from '#core/contract/purge.ts';

/**
 * The configuration after `event`. Sites and nodes stay ordered by name, so that a configuration built
 * from events equals the snapshot of the same sequence. A purge that bans nothing only moves it.
 */
export function applyEvent(config: Config, event: JournalEvent): Config {
  const next: Config = { ...config, sequence: event.sequence, bans: bansAfter(config.bans, event) };
  switch (event.type) {
    case 'site.put':
      return { ...next, sites: withNamed(config.sites, event.site) };
    case 'site.delete':
      return { ...next, sites: withoutNamed(config.sites, event.name) };
    case 'node.put':
      return { ...next, nodes: withNamed(config.nodes, event.node) };
    case 'node.delete':
      return { ...next, nodes: withoutNamed(config.nodes, event.name) };
    case 'network.put':
      return { ...next, network: event.network };
    default:
      return next;
  }
}

/** The bans after `event`. */
export function bansAfter(bans: readonly Ban[], event: JournalEvent): Ban[] {
  switch (event.type) {
    case 'purge': {
      const { id, mode, target } = event.purge;
      return mode === 'ban' ? [...bans, { id, sequence: event.sequence, target }] : [...bans];
    }
    case 'ban.lift':
      return bans.filter(({ id }) => id !== event.id);
    case 'site.delete':
      return bans.filter(({ target }) => siteOfTarget(target) !== event.name);
    default:
      return [...bans];
  }
}

interface Named {
  readonly name: string;
}

function withNamed<T extends Named>(list: readonly T[], item: T): T[] {
  return [...withoutNamed(list, item.name), item].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function withoutNamed<T extends Named>(list: readonly T[], name: string): T[] {
  return list.filter((item) => item.name !== name);
}
