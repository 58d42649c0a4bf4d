import type { Site } from './contract/site.ts';

/** DNS names end at 253 characters; the rest is room for brackets and mistakes that still deserve a `*` site. */
const LONGEST_HOST = 255;

/** `Example.org.:8080` → `example.org`: lower case, without port and trailing dot. */
export function normalizeHost(authority: string): string {
  const end = authority.startsWith('[') ? authority.indexOf(']') + 1 : authority.indexOf(':');
  const host = (end > 0 ? authority.slice(0, end) : authority).toLowerCase();
  return host.endsWith('.') ? host.slice(0, -1) : host;
}

/** The pattern among a site's `hosts` by which `SiteDirectory` finds it for a host. */
export function patternFor(hosts: readonly string[], host: string): string | null {
  if (hosts.includes(host)) return host;
  const fitting = hosts.filter(
    (pattern) => pattern === '*' || (pattern.startsWith('*.') && host.endsWith(pattern.slice(1))),
  );
  return fitting.toSorted((a, b) => b.length - a.length)[0] ?? null;
}

/**
 * Finds the site that a host belongs to: an exact name wins over wildcards,
 * a longer wildcard over a shorter, and `*` comes last. `*.example.org` stands for
 * subdomains of any depth, not for `example.org` itself.
 */
export class SiteDirectory<S extends Site = Site> {
  readonly sites: readonly S[];
  readonly #byName = new Map<string, S>();
  /** Exact hosts as they are, wildcards without their star (`.example.org`), `*` as the empty string. */
  readonly #byPattern = new Map<string, S>();

  /** @param sites of which no two claim the same host pattern; the control plane sees to that. */
  constructor(sites: readonly S[]) {
    this.sites = sites;
    for (const site of sites) {
      this.#byName.set(site.name, site);
      for (const pattern of site.hosts) this.#byPattern.set(pattern.replace(/^\*/, ''), site);
    }
  }

  byName(name: string): S | undefined {
    return this.#byName.get(name);
  }

  /** @param host as clients send it: any case, with or without port and trailing dot. */
  byHost(host: string): S | undefined {
    // Nearly every host comes in its plain form: that costs one look-up and no allocation.
    return (host !== '' && host[0] !== '.' && this.#byPattern.get(host)) || this.#search(host);
  }

  #search(authority: string): S | undefined {
    const host = normalizeHost(authority);
    const any = this.#byPattern.get('');
    if (host.length > LONGEST_HOST || host === '' || host[0] === '.') return any;
    const exact = this.#byPattern.get(host);
    if (exact !== undefined) return exact;
    for (let dot = host.indexOf('.'); dot !== -1; dot = host.indexOf('.', dot + 1)) {
      const site = this.#byPattern.get(host.slice(dot));
      if (site !== undefined) return site;
    }
    return any;
  }
}
