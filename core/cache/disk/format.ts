import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { renameEpochs } from './durable-fence.ts';
import { codeOf } from './health.ts';
import type { IndexDb } from './index-db.ts';

/** Of all that is in the directory, raised with every change that an older Canopy could not read. */
export const FORMAT = 2;

/** Brings an index of a format, the key, to the next one. */
export type Conversions = Readonly<Record<number, (index: IndexDb) => void>>;
const CONVERSIONS: Conversions = { 1: renameEpochs };

/**
 * Brings an index to this format, in one step that either happens or not.
 * @returns `false`: of a format that this Canopy does not know, so that it is of no use
 */
export function convertIndex(index: IndexDb, conversions = CONVERSIONS, format = FORMAT): boolean {
  const found = index.get('format');
  if (found === undefined && index.get('totals') === undefined) {
    index.set('format', format);
    return true;
  }
  if (found === format) return true;
  if (typeof found !== 'number' || found > format) return false;
  const { result } = index.transact(() => {
    for (let from = found; from < format; from++) {
      const convert = conversions[from];
      if (convert === undefined) return false;
      convert(index);
    }
    index.set('format', format);
    return true;
  });
  return result;
}

const META_BYTES = 4096 * 2;
const MAGIC = 0xbeefc0de;
/** Offsets in a page that holds a meta record of LMDB (mdb.c, MDB_meta), after the page's own head. */
const META = { magic: 24, pageSize: 48, lastPage: 144, transaction: 152 };
/** Pages at the end that may be free without ever having been written. */
const UNWRITTEN_PAGES = 64;

/**
 * Whether LMDB may be let near the index: it maps the file, and what is missing of it, or a head
 * that is none, would end the process where an error could not be caught.
 */
export async function isIndexWhole(dir: string): Promise<boolean> {
  const file = join(dir, 'index', 'data.mdb');
  let handle;
  try {
    handle = await open(file, 'r+');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return true;
    throw error;
  }
  try {
    const { size } = await handle.stat();
    if (size === 0) return true;
    const head = Buffer.alloc(META_BYTES);
    await handle.read(head, 0, META_BYTES, 0);
    const pageSize = head.readUInt32LE(META.pageSize);
    if (head.readUInt32LE(META.magic) !== MAGIC || pageSize < 512 || pageSize > 65_536)
      return false;
    // One in each of the first two pages, and one half-way for what is flushed.
    const metas = [0, pageSize / 2, pageSize].filter(
      (offset) =>
        offset + META.transaction + 8 <= META_BYTES &&
        head.readUInt32LE(offset + META.magic) === MAGIC,
    );
    let latest = 0;
    let needed = 0;
    for (const offset of metas) {
      const transaction = Number(head.readBigUInt64LE(offset + META.transaction));
      if (transaction < latest) continue;
      latest = transaction;
      needed = (Number(head.readBigUInt64LE(offset + META.lastPage)) + 1) * pageSize;
    }
    if (size + UNWRITTEN_PAGES * pageSize < needed) return false;
    if (size < needed) await handle.truncate(needed);
    return true;
  } finally {
    await handle.close();
  }
}

/** Sets the index aside and removes it behind; its files are then nobody's, and are swept. */
export async function discardIndex(dir: string): Promise<void> {
  const aside = join(dir, 'index.discarded');
  await rm(aside, { recursive: true, force: true });
  await rename(join(dir, 'index'), aside);
  void rm(aside, { recursive: true, force: true }).catch(() => undefined);
}
