import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bodies } from './bodies.ts';
import { BodyFiles } from './body-files.ts';
import { IndexedStore, type IndexedStoreOptions } from './indexed-store.ts';
import { ObjectIndex } from './object-index.ts';

export interface DiskStoreOptions extends Pick<
  IndexedStoreOptions,
  'clock' | 'log' | 'limitsOf' | 'onDamaged'
> {
  /** Holds the index and the bodies; made if missing. One process at a time. */
  readonly dir: string;
  /** Default: files in `dir`. */
  readonly bodies?: Bodies;
}

/** Where a store in `dir` keeps its contents. */
export const bodiesDir = (dir: string): string => join(dir, 'bodies');

/**
 * Opens a store on a local disk.
 * @throws CanopyError `conflict` if another process has it open, `internal-error` if it is damaged
 */
export async function openDiskStore(options: DiskStoreOptions): Promise<IndexedStore> {
  const { dir, bodies = new BodyFiles(bodiesDir(dir)) } = options;
  await mkdir(bodiesDir(dir), { recursive: true, mode: 0o700 });
  const index = new ObjectIndex(join(dir, 'objects.sqlite'), options.clock.now());
  return new IndexedStore({ ...options, index, bodies });
}
