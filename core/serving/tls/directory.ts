import type { CertificateEntry } from '#core/contract/certificate.ts';

/** The certificate of this name is for clients that name no host. */
export const DEFAULT_CERTIFICATE = 'default';

/** Finds the certificate for a name that a client asks for. */
export class CertificateDirectory {
  readonly #byName: ReadonlyMap<string, readonly CertificateEntry[]>;
  readonly default: CertificateEntry | undefined;

  constructor(entries: readonly CertificateEntry[]) {
    this.default = entries.find(({ name }) => name === DEFAULT_CERTIFICATE);
    const byName = new Map<string, CertificateEntry[]>();
    for (const entry of entries) {
      for (const name of entry.names) {
        const others = byName.get(name);
        if (others === undefined) byName.set(name, [entry]);
        else others.push(entry);
      }
    }
    for (const one of byName.values()) one.sort((a, b) => b.notAfter - a.notAfter);
    this.#byName = byName;
  }

  /**
   * One of the site over one of no site, an exact name over a wildcard (which stands for one label, RFC
   * 9525 §6.3), and of those left the one that expires last.
   * @param host in lower case
   * @param site that `host` leads to, if any
   */
  find(host: string, site: string | undefined): CertificateEntry | undefined {
    const dot = host.indexOf('.');
    const exact = this.#byName.get(host) ?? NONE;
    const wild = (dot > 0 && this.#byName.get(`*${host.slice(dot)}`)) || NONE;
    return (
      (site !== undefined && (ofSite(exact, site) ?? ofSite(wild, site))) ||
      (ofSite(exact, null) ?? ofSite(wild, null))
    );
  }
}

const NONE: readonly CertificateEntry[] = [];

const ofSite = (
  entries: readonly CertificateEntry[],
  site: string | null,
): CertificateEntry | undefined => entries.find((entry) => entry.site === site);
