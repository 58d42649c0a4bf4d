import { createReadStream, createWriteStream } from 'node:fs';
import { readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';

/** When a log file makes room for the next, and what becomes of it. */
export interface RotationOptions {
  /** Before it would become larger; `undefined`: whatever its size. */
  readonly maxBytes: number | undefined;
  /** Once it is so old; `undefined`: whatever its age. */
  readonly maxAgeMs: number | undefined;
  /** Files kept beside the one that is written; older ones are deleted. */
  readonly keep: number;
  readonly compress: boolean;
}

const PACKING = '.gz.tmp';

/** `access.log-20261127T152030.123Z`: by name in the order of time. */
export const rotatedName = (file: string, at: number): string =>
  `${file}-${new Date(at).toISOString().replaceAll(/[-:]/g, '')}`;

/** The files that `file` has left, the oldest first. */
export const rotatedFiles = (file: string): Promise<readonly string[]> =>
  leftBy(file, /^\d{8}T\d{6}\.\d{3}Z(?:\.gz)?$/);

/** @param ending what follows the name of `file` */
async function leftBy(file: string, ending: RegExp): Promise<readonly string[]> {
  const beginning = `${basename(file)}-`;
  const names = await readdir(dirname(file));
  return names
    .filter((name) => name.startsWith(beginning) && ending.test(name.slice(beginning.length)))
    .toSorted()
    .map((name) => join(dirname(file), name));
}

/**
 * Moves `file` aside, under a later time than all before it, however fast files fill and whatever the
 * clock does: by their names files are known to be old.
 * @returns what it is called from now on
 */
export async function moveAside(file: string, now: number): Promise<string> {
  const last = (await rotatedFiles(file)).at(-1);
  const aside = rotatedName(file, Math.max(now, last === undefined ? 0 : timeIn(last) + 1));
  await rename(file, aside);
  return aside;
}

function timeIn(rotated: string): number {
  const [, year, month, day, hour, minute, second] =
    /(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d\.\d{3})Z(?:\.gz)?$/.exec(rotated) ?? [];
  return Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
}

/** Packs a file that is written no more: it is there whole or packed, whatever happens. */
export async function pack(file: string): Promise<void> {
  const packing = file + PACKING;
  try {
    await pipeline(
      createReadStream(file),
      createGzip(),
      createWriteStream(packing, { mode: LOG_MODE }),
    );
    await rename(packing, `${file}.gz`);
    await rm(file);
  } catch (error) {
    await rm(packing, { force: true });
    throw error;
  }
}

/**
 * Deletes the oldest of what `file` has left, but for `keep`, and what a process that was killed was
 * packing. Not to be called while anything is packed.
 */
export async function prune(file: string, keep: number): Promise<void> {
  const old = await rotatedFiles(file);
  const surplus = old.slice(0, Math.max(0, old.length - keep));
  for (const name of surplus) await rm(name, { force: true });
  for (const name of await leftBy(file, /^\d{8}T\d{6}\.\d{3}Z\.gz\.tmp$/)) await rm(name);
}

/** For its owner, and whoever is to read logs. */
export const LOG_MODE = 0o640;
