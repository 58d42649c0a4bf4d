import { CanopyError, messageOf } from '#core/errors.ts';
import type { Files } from './files.ts';
import { convertIndex, discardIndex, isIndexWhole } from './format.ts';
import { IndexDb } from './index-db.ts';

export interface OpenIndexOptions {
  readonly dir: string;
  readonly mapBytes: number;
  readonly files: Files;
  readonly log: { warn(message: string): void };
}

/**
 * Opens the index, or discards what cannot be used and begins a new one.
 * @returns with the number of this run, higher than that of every run before
 * @throws CanopyError `conflict` where another process has it open; what the system says
 */
export async function openIndex(
  options: OpenIndexOptions,
): Promise<{ readonly index: IndexDb; readonly run: number }> {
  const { dir, mapBytes, files, log } = options;
  let index = await openKnown(options);
  if (typeof index === 'string') {
    log.warn(`Discarded what the disk store in ${dir} held: ${index}`);
    await discardIndex(dir);
    index = new IndexDb(dir, mapBytes);
    convertIndex(index);
  }
  const run = Math.max((index.get('run') as number | undefined) ?? 0, await files.lastRun()) + 1;
  index.set('run', run);
  return { index, run };
}

/** @returns why it is of no use, where it is of none */
async function openKnown({ dir, mapBytes }: OpenIndexOptions): Promise<IndexDb | string> {
  if (!(await isIndexWhole(dir))) return 'the index is damaged';
  let index: IndexDb;
  try {
    index = new IndexDb(dir, mapBytes);
  } catch (error) {
    if (error instanceof Error && 'code' in error && SYSTEM_CODE.test(String(error.code)))
      throw error;
    return `the index is damaged (${messageOf(error)})`;
  }
  // Only who has read stands in the table of readers.
  index.get('format');
  if (index.readers.some((pid) => pid !== process.pid)) {
    await index.close();
    throw new CanopyError('conflict', `Another process has the disk store in ${dir} open`);
  }
  try {
    if (convertIndex(index)) return index;
  } catch (error) {
    await index.close();
    return `the index is damaged (${messageOf(error)})`;
  }
  await index.close();
  return 'it is of a format that this version of Canopy does not know';
}

const SYSTEM_CODE = /^E[A-Z]+$/;
