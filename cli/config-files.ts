import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { stringify } from 'yaml';
import { type Site, siteSchema } from '#core/contract/site.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import { readDocument } from './document.ts';

/** Sites as they stand in files. */
export interface WrittenConfig {
  readonly sites: readonly unknown[];
  /** Where each of them stands. */
  readonly files: readonly string[];
}

const ENDING = /\.(?:json|ya?ml)$/;

/**
 * All sites that a file (`sites: [...]`) or the files of a directory say there are to be; in a directory a
 * file may also hold one site.
 * @throws CanopyError `invalid-input` naming the file
 */
export async function readConfig(path: string): Promise<WrittenConfig> {
  const isDir = await stat(path).then(
    (found) => found.isDirectory(),
    (cause: unknown) => refuse(`Cannot read ${path}: ${messageOf(cause)}`, cause),
  );
  if (!isDir) {
    const sites = sitesIn(await readDocument(path));
    if (sites !== undefined) return { sites, files: sites.map(() => path) };
    return refuse(
      `${path} has no \`sites\`. It would stand for all that there are: for one site there is \`canopy sites put\``,
    );
  }
  const names = (await readdir(path)).filter((name) => ENDING.test(name)).toSorted();
  if (names.length === 0) return refuse(`${path} holds no .yaml, .yml or .json file`);
  const read = names.map(async (name) => {
    const document = await readDocument(join(path, name));
    return { name, sites: sitesIn(document) ?? [document] };
  });
  const documents = await Promise.all(read);
  return {
    sites: documents.flatMap(({ sites }) => sites),
    files: documents.flatMap(({ name, sites }) => sites.map(() => name)),
  };
}

/** Writes each site to a file of its name in `dir`, made if missing. @returns the files */
export async function writeConfig(dir: string, sites: readonly Site[]): Promise<string[]> {
  try {
    await mkdir(dir, { recursive: true });
    return await Promise.all(
      sites.map(async (site) => {
        const file = join(dir, `${site.name}.yaml`);
        await writeFile(file, stringify(asWritten(site)));
        return file;
      }),
    );
  } catch (cause) {
    return refuse(`Cannot write to ${dir}: ${messageOf(cause)}`, cause);
  }
}

/** A site as an operator would write it: without what it has by default. */
export const asWritten = (site: Site): unknown =>
  pruned(site, (candidate) => isDeepStrictEqual(siteSchema.safeParse(candidate).data, site));

/** Leaves out every field that `accepts` does not miss. */
function pruned(value: unknown, accepts: (value: unknown) => boolean): unknown {
  if (Array.isArray(value)) {
    return value.map((item: unknown, i) => pruned(item, (other) => accepts(value.with(i, other))));
  }
  if (typeof value !== 'object' || value === null) return value;
  let kept: Readonly<Record<string, unknown>> = { ...value };
  for (const [key, field] of Object.entries(value)) {
    const { [key]: _, ...rest } = kept;
    const base = kept;
    kept = accepts(rest)
      ? rest
      : { ...base, [key]: pruned(field, (other) => accepts({ ...base, [key]: other })) };
  }
  return kept;
}

/** What is wrong with the N-th site, in the words of who wrote it in a file. */
export function namingFiles(error: unknown, files: readonly string[]): unknown {
  if (!(error instanceof CanopyError) || error.code !== 'invalid-input') return error;
  const message = error.message.replaceAll(
    /\bsites\.(\d+)\b/g,
    (path, index: string) => files[Number(index)] ?? path,
  );
  return new CanopyError(error.code, message, { cause: error });
}

function sitesIn(document: unknown): readonly unknown[] | undefined {
  if (typeof document !== 'object' || document === null || !('sites' in document)) return undefined;
  const [other] = Object.keys(document).filter((key) => key !== 'sites');
  if (other !== undefined) return refuse(`Beside \`sites\` there can be no \`${other}\``);
  return Array.isArray(document.sites) ? document.sites : refuse('`sites` is not a list');
}

function refuse(message: string, cause?: unknown): never {
  throw new CanopyError('invalid-input', message, { cause });
}
