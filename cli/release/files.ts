import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { MAX_RELEASE_OBJECTS } from '#core/contract/release.ts';
import { CanopyError, messageOf } from '#core/errors.ts';

/** A file that is to be an object. */
export interface ReleaseFile {
  readonly file: string;
  /** Of the URL. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
}

export interface HashedFile extends ReleaseFile {
  /** SHA-256, in hexadecimal digits. */
  readonly digest: string;
}

/**
 * All files below a directory, in the order of their paths. What begins with a dot is left out, but for
 * `.well-known` (RFC 8615).
 * @throws CanopyError `invalid-input`
 */
export async function filesIn(dir: string): Promise<readonly ReleaseFile[]> {
  const files: ReleaseFile[] = [];
  try {
    await collect(dir, '', files);
  } catch (cause) {
    if (cause instanceof CanopyError) throw cause;
    throw new CanopyError('invalid-input', `Cannot read ${dir}: ${messageOf(cause)}`, { cause });
  }
  if (files.length === 0) throw new CanopyError('invalid-input', `There are no files in ${dir}`);
  return files;
}

async function collect(dir: string, path: string, files: ReleaseFile[]): Promise<void> {
  const names = (await readdir(dir)).toSorted();
  for (const name of names) {
    if (name.startsWith('.') && name !== '.well-known') continue;
    const file = join(dir, name);
    const below = `${path}/${encodeURIComponent(name)}`;
    // Of what a link leads to.
    const found = await stat(file);
    if (found.isDirectory()) await collect(file, below, files);
    else if (found.isFile()) files.push({ file, path: below, size: found.size });
    if (files.length > MAX_RELEASE_OBJECTS) {
      throw new CanopyError(
        'invalid-input',
        `A release has at most ${MAX_RELEASE_OBJECTS} files; ${dir} has more`,
      );
    }
  }
}

/** @param onHashed called after each */
export async function hashed(
  files: readonly ReleaseFile[],
  onHashed: () => void,
): Promise<readonly HashedFile[]> {
  const found: HashedFile[] = [];
  for (const file of files) {
    found.push({ ...file, digest: await digestOf(file.file) });
    onHashed();
  }
  return found;
}

/** @throws CanopyError `invalid-input` */
async function digestOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  try {
    await pipeline(createReadStream(file), hash);
  } catch (cause) {
    throw new CanopyError('invalid-input', `Cannot read ${file}: ${messageOf(cause)}`, { cause });
  }
  return hash.digest('hex');
}
