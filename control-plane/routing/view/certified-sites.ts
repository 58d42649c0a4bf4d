import type { CertificateEntry } from '#core/contract/certificate.ts';
import type { Site } from '#core/contract/site.ts';
import { CertificateDirectory } from '#core/serving/tls/directory.ts';

/** Which sites want which certificates, by the same rules as edges choose them. */
export class CertifiedSites {
  readonly #sites: readonly Pick<Site, 'name' | 'hosts'>[];
  readonly #directory: CertificateDirectory;
  /** By certificate; made when an edge first lacks one. */
  #needing: ReadonlyMap<string, ReadonlySet<string>> | undefined;

  constructor(
    sites: readonly Pick<Site, 'name' | 'hosts'>[],
    certificates: readonly CertificateEntry[],
  ) {
    this.#sites = sites;
    this.#directory = new CertificateDirectory(certificates);
  }

  /** Names of the sites that want one of these certificates for one of their hosts. */
  needing(certificates: readonly string[]): ReadonlySet<string> {
    this.#needing ??= this.#index();
    const needing = this.#needing;
    return new Set(certificates.flatMap((name) => [...(needing.get(name) ?? [])]));
  }

  #index(): ReadonlyMap<string, ReadonlySet<string>> {
    const needing = new Map<string, Set<string>>();
    for (const { name, hosts } of this.#sites) {
      for (const host of hosts) {
        const certificate = this.#directory.find(host, name)?.name;
        if (certificate === undefined) continue;
        const sites = needing.get(certificate) ?? new Set();
        needing.set(certificate, sites.add(name));
      }
    }
    return needing;
  }
}
