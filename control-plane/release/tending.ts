import type { Clock } from '#core/clock.ts';
import type { Journal } from '../journal/journal.ts';
import type { ReleaseCaches } from './caches.ts';
import type { ReleaseContents } from './contents.ts';
import { duties } from './record.ts';
import type { ReleaseRecords } from './release-records.ts';

/** Releases of a site that are remembered. */
const REMEMBERED = 100;

export interface TendingOptions {
  readonly journal: Journal;
  readonly clock: Clock;
  readonly records: ReleaseRecords;
  readonly contents: ReleaseContents;
  readonly caches: ReleaseCaches;
}

/**
 * Removes what had its time: assets that only superseded releases have, what came ahead of a switch that
 * did not come, and contents of releases that are not kept. Doing any of it twice is harmless.
 */
export async function tendSite(
  { journal, clock, records, contents, caches }: TendingOptions,
  name: string,
): Promise<void> {
  const site = journal.config.sites.find((known) => known.name === name);
  if (site?.origin.kind !== 'push') return;
  const current = journal.config.releases?.[name]?.id;
  const { releases: settings } = site.origin;
  const before = await records.of(name);
  const { retiring, staying } = duties(before, current, settings, clock.now());
  const except = [...new Set(staying.flatMap(({ manifest }) => manifest ?? []))];
  for (const release of retiring) {
    const gone = release.status === 'ready' ? release.manifest : release.additions;
    if (gone !== null) {
      await caches.forget(site, await contents.retire(name, gone, except), release);
    }
    await records.put({ ...release, isRetired: true });
  }
  const after = await records.of(name);
  for (const release of duties(after, current, settings, clock.now()).lettingGo) {
    await contents.letGo(name, release.id);
    await records.put({ ...release, isHeld: false });
  }
  for (const release of after.slice(REMEMBERED)) {
    if (!release.isHeld) await records.delete(release);
  }
}
