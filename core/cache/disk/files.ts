import { open as openFile } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rmdir, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { codeOf } from './health.ts';
import { DiskLatencies } from './latencies.ts';

/** Files of one folder. */
const FOLDER_FILES = 1024;
/** Numbers of one run of the process: those of an earlier run cannot meet those of this one. */
const RUN_FILES = 2 ** 32;

/** A file's number, unlike any that an earlier run of the process gave. */
export const fileNumber = (run: number, n: number): number => run * RUN_FILES + (n >>> 0);

const openToRead: (path: string, flags: string) => Promise<number> = promisify(openFile);

/** The files of a store, `DIR/files/RUN/FOLDER/FILE`. */
export class Files {
  readonly latencies = new DiskLatencies();
  readonly #dir: string;
  readonly #removing = new Set<Promise<void>>();

  /** @param dir made when it is first needed */
  constructor(dir: string) {
    this.#dir = dir;
  }

  pathOf(file: number): string {
    const n = file % RUN_FILES;
    const folder = Math.floor(n / FOLDER_FILES);
    const run = Math.floor(file / RUN_FILES);
    return join(this.#dir, String(run), String(folder), String(n % FOLDER_FILES));
  }

  async create(file: number): Promise<FileHandle> {
    const path = this.pathOf(file);
    try {
      return await open(path, 'wx', 0o600);
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
      await mkdir(dirname(path), { recursive: true });
      return open(path, 'wx', 0o600);
    }
  }

  /** A descriptor to read by, which the caller closes; a FileHandle costs a third more. */
  open(file: number): Promise<number> {
    return openToRead(this.pathOf(file), 'r');
  }

  /** Those who have it open read on. What cannot be removed now is swept at the next start. */
  remove(file: number): Promise<void> {
    const removing = this.#remove(file).finally(() => this.#removing.delete(removing));
    this.#removing.add(removing);
    return removing;
  }

  /** When all that is to be removed is. */
  async settled(): Promise<void> {
    await Promise.all(this.#removing);
  }

  async #remove(file: number): Promise<void> {
    const path = this.pathOf(file);
    await unlink(path).catch(() => undefined);
    // Files go about in the order in which they came, so that this is mostly the last of its folder.
    if ((file + 1) % FOLDER_FILES === 0) await rmdir(dirname(path)).catch(() => undefined);
  }

  /** The latest run that has left files; 0: none. */
  async lastRun(): Promise<number> {
    return Math.max(0, ...(await numbersIn(this.#dir)));
  }

  /**
   * Compares what runs before `run` have left with what the index has of them, folder by folder.
   * @param listed the numbers from `from` to before `to` that the index has
   * @param missing told of each that has no file
   */
  async sweep(
    run: number,
    listed: (from: number, to: number) => ReadonlySet<number>,
    missing: (file: number) => void,
  ): Promise<void> {
    let expected = 0;
    const check = (from: number, to: number): void => {
      for (const file of listed(from, to)) missing(file);
    };
    for (const earlier of (await numbersIn(this.#dir)).filter((other) => other < run)) {
      const runDir = join(this.#dir, String(earlier));
      for (const folder of await numbersIn(runDir)) {
        const from = fileNumber(earlier, folder * FOLDER_FILES);
        check(expected, from);
        expected = from + FOLDER_FILES;
        const folderDir = join(runDir, String(folder));
        const found = new Set((await numbersIn(folderDir)).map((n) => from + n));
        for (const file of listed(from, expected)) if (!found.delete(file)) missing(file);
        for (const file of found) await unlink(this.pathOf(file)).catch(() => undefined);
        await rmdir(folderDir).catch(() => undefined);
      }
      await rmdir(runDir).catch(() => undefined);
    }
    check(expected, fileNumber(run, 0));
  }
}

/** The entries of a folder whose names are numbers, ascending; none where there is no folder. */
async function numbersIn(dir: string): Promise<number[]> {
  const names = await readdir(dir).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  });
  const numbers = names.filter((name) => /^\d+$/.test(name)).map(Number);
  return numbers.toSorted((a, b) => a - b);
}
