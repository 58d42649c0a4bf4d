import { readdir, readFile } from 'node:fs/promises';

const SAMPLE = new URL('./sample/', import.meta.url);

/** Short, so that who tries things out sees an object become stale. */
const SAMPLE_CACHE_CONTROL = 'max-age=60';

export interface SampleFile {
  /** Where it is served. */
  readonly path: string;
  readonly content: Buffer;
  /** To be stored with it. */
  readonly cacheControl: string;
}

/** A small site that shows what serves it. Its content types are told by the endings. */
export async function sampleFiles(): Promise<readonly SampleFile[]> {
  const names = await readdir(SAMPLE);
  return Promise.all(
    names.map(async (name) => ({
      path: `/${name}`,
      content: await readFile(new URL(name, SAMPLE)),
      cacheControl: SAMPLE_CACHE_CONTROL,
    })),
  );
}
