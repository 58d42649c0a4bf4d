import type { ServedSite } from '#core/cache/served-site.ts';
import { CanopyError } from '#core/errors.ts';
import { readRequest } from '#core/http/request.ts';
import type { SiteDirectory } from '#core/sites.ts';
import { laneHindrance } from './eligibility.ts';

/** What a spelling of `Host` comes to. */
export interface LaneHost {
  readonly site: ServedSite;
  /** As keys have it. */
  readonly host: string;
}

/** Spellings remembered; others are not for the lane, so that no client can fill memory with them. */
const MAX_HOSTS = 10_000;

/** The hosts of one scheme whose requests may take the lane, under one configuration. */
export class LaneHosts {
  readonly #scheme: 'http' | 'https';
  readonly #known = new Map<string, LaneHost | undefined>();
  #sites: SiteDirectory<ServedSite> | undefined;

  constructor(scheme: 'http' | 'https') {
    this.#scheme = scheme;
  }

  /** @param spelled the value of `Host` @param sites as they are now */
  find(spelled: string, sites: SiteDirectory<ServedSite>): LaneHost | undefined {
    if (sites !== this.#sites) {
      this.#known.clear();
      this.#sites = sites;
    }
    const known = this.#known.get(spelled);
    if (known !== undefined || this.#known.has(spelled)) return known;
    if (this.#known.size >= MAX_HOSTS) return undefined;
    const found = this.#look(spelled, sites);
    this.#known.set(spelled, found);
    return found;
  }

  #look(spelled: string, sites: SiteDirectory<ServedSite>): LaneHost | undefined {
    const encrypted = this.#scheme === 'https';
    try {
      const received = { method: 'GET', target: '/', fields: ['Host', spelled], encrypted };
      const { host } = readRequest(received);
      const site = sites.byHost(host);
      if (site === undefined || laneHindrance(site, this.#scheme) !== undefined) return undefined;
      return { site, host: site.ownHost(host) };
    } catch (error) {
      if (error instanceof CanopyError) return undefined;
      throw error;
    }
  }
}
