import type { Clock } from '#core/clock.ts';
import type { CertificateEntry, CertificateMaterial } from '#core/contract/certificate.ts';
import type { JournalEvent } from '#core/contract/event.ts';
import { InvalidInput } from '#core/contract/validate.ts';
import { CanopyError } from '#core/errors.ts';
import type { Journal } from '../journal/journal.ts';
import type { StoredRecord } from '../state/records.ts';
import type { StateStore } from '../state/store.ts';
import { covers, type ReadCertificate } from './read.ts';

/** A certificate as the state keeps it, with its key. */
export interface Certificate extends ReadCertificate {
  readonly name: string;
  /** The only site that it is for; `null`: all that its names lead to. */
  readonly site: string | null;
  readonly source: 'upload' | 'acme';
  /** ms since the Unix epoch. */
  readonly createdAt: number;
}

/** What is to be kept under a name. */
export type CertificateDraft = ReadCertificate & Pick<Certificate, 'name' | 'site' | 'source'>;

interface Options {
  readonly store: StateStore;
  readonly journal: Journal;
  readonly clock: Clock;
}

const KIND = 'certificate';

/** The certificates of the network: whole in the records, without their keys in the journal. */
export class Certificates {
  readonly #options: Options;

  constructor(options: Options) {
    this.#options = options;
  }

  /**
   * Keeps a certificate in the place of the one of its name.
   * @param allow called with the one that is there; throws where it may not be replaced
   * @throws InvalidInput if it does not cover the hosts of its site
   */
  async put(
    draft: CertificateDraft,
    allow: (present: CertificateEntry | undefined) => void = () => undefined,
  ): Promise<{ readonly certificate: Certificate; readonly events: readonly JournalEvent[] }> {
    const { clock, journal } = this.#options;
    const certificate: Certificate = { ...draft, createdAt: clock.now() };
    const { name, site, names, notAfter, fingerprint } = certificate;
    const entry: CertificateEntry = { name, site, names: [...names], notAfter, fingerprint };
    const record = { kind: KIND, id: name, value: certificate } as const;
    const events = await journal.change(({ certificates, sites }) => {
      allow(certificates.find((one) => one.name === name));
      if (site !== null) requireCovered(sites, site, names);
      return {
        entries: [{ type: 'certificate.put', certificate: entry }],
        alongside: () => ({ records: [record] }),
      };
    });
    return { certificate, events };
  }

  /** @throws CanopyError `not-found` */
  async delete(
    name: string,
    allow: (present: CertificateEntry) => void = () => undefined,
  ): Promise<readonly JournalEvent[]> {
    const { journal, store } = this.#options;
    const events = await journal.change(({ certificates }) => {
      const present = certificates.find((one) => one.name === name);
      if (present === undefined) throw unknown(name);
      allow(present);
      // The key goes with the event, whatever comes after.
      const record = { kind: KIND, id: name, value: null } as const;
      return {
        entries: [{ type: 'certificate.delete', name }],
        alongside: () => ({ records: [record] }),
      };
    });
    await store.records.delete({ kind: KIND, id: name });
    return events;
  }

  /** @throws CanopyError `not-found` */
  async get(name: string): Promise<Certificate> {
    const record = await this.#options.store.records.get({ kind: KIND, id: name });
    const certificate = record && certificateIn(record);
    if (certificate === undefined) throw unknown(name);
    return certificate;
  }

  /** By name, at most `limit` behind `after`. */
  async list(limit: number, after?: string): Promise<readonly Certificate[]> {
    const records = await this.#options.store.records.list(KIND, { limit, after });
    return records.flatMap((record) => certificateIn(record) ?? []);
  }

  /** For an edge. @throws CanopyError `not-found` */
  async material(name: string): Promise<CertificateMaterial> {
    const { fingerprint, chain, key } = await this.get(name);
    return { name, fingerprint, chain, key };
  }
}

function requireCovered(
  sites: readonly { readonly name: string; readonly hosts: readonly string[] }[],
  name: string,
  names: readonly string[],
): void {
  const site = sites.find((one) => one.name === name);
  if (site === undefined) throw new CanopyError('not-found', `There is no site "${name}"`);
  const missing = site.hosts.filter((host) => host !== '*' && !covers(names, host));
  if (missing.length === 0) return;
  throw new InvalidInput('certificate', [
    {
      path: 'chain.0',
      expected: `one for the hosts of site "${name}", ${missing.join(', ')} among them`,
      received: `one for ${names.join(', ')}`,
    },
  ]);
}

const unknown = (name: string): CanopyError =>
  new CanopyError('not-found', `There is no certificate "${name}"`);

// Written here; `null` where it is about to be deleted.
const certificateIn = ({ value }: StoredRecord): Certificate | undefined =>
  (value as Certificate | null) ?? undefined;
