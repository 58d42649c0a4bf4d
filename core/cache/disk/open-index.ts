import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
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
  if ((await isUnsettled(dir)) && !(await canBeWalked(dir, mapBytes))) {
    return 'the last process ended while it opened it, and not all of it can be read';
  }
  await suspectIndex(dir);
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

/** There while a process has had the store open for so short that it may have died of it. */
const OPENING = 'opening';

const isUnsettled = (dir: string): Promise<boolean> =>
  readFile(join(dir, OPENING)).then(
    () => true,
    () => false,
  );

/** Has the next start read all of the index before it trusts it. */
export const suspectIndex = (dir: string): Promise<void> => writeFile(join(dir, OPENING), '');

/** Whoever has opened the index has done well with it, or closes it. */
export const indexSettled = (dir: string): Promise<void> => rm(join(dir, OPENING), { force: true });

/** Has another process read all of the index, which may be the end of it. */
async function canBeWalked(dir: string, mapBytes: number): Promise<boolean> {
  const script = fileURLToPath(new URL('./check-index.ts', import.meta.url));
  const child = spawn(process.execPath, [script, dir, String(mapBytes)], { stdio: 'ignore' });
  const [code] = (await once(child, 'exit')) as [number | null];
  return code === 0;
}

const SYSTEM_CODE = /^E[A-Z]+$/;
