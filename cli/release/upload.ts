import { createReadStream } from 'node:fs';
import { pipeline, Transform } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { CanopyError } from '#core/errors.ts';
import type { ReleaseApi } from '../release-api.ts';
import type { HashedFile } from './files.ts';

/** Contents on their way at once. */
const AT_ONCE = 8;
/** Times that one is sent, where sending it again may help, and the pause before the second. */
const ATTEMPTS = 4;
const PAUSE_MS = 250;

/**
 * Puts contents, each once. Those that are there when it fails are not missing the next time.
 * @param onBytes called with bytes that have gone; less than nothing where they go again
 * @throws CanopyError
 */
export async function upload(
  api: Pick<ReleaseApi, 'putContent'>,
  site: string,
  files: readonly HashedFile[],
  onBytes: (bytes: number) => void,
): Promise<void> {
  const queue = [...new Map(files.map((file) => [file.digest, file])).values()];
  const failures: unknown[] = [];
  const work = async (): Promise<void> => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      if (failures.length > 0) return;
      try {
        await putPatiently(api, site, file, onBytes);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  const [first] = failures;
  if (first instanceof Error) throw first;
}

async function putPatiently(
  api: Pick<ReleaseApi, 'putContent'>,
  site: string,
  { file, digest, size }: HashedFile,
  onBytes: (bytes: number) => void,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    let sent = 0;
    const counting = new Transform({
      transform: (chunk: Buffer, _, done) => {
        sent += chunk.length;
        onBytes(chunk.length);
        done(null, chunk);
      },
    });
    // What fails is told to whoever reads on.
    const content = pipeline(createReadStream(file), counting, () => undefined);
    try {
      await api.putContent(site, digest, content, size);
      return;
    } catch (error) {
      content.destroy();
      onBytes(-sent);
      if (error instanceof CanopyError && error.code === 'digest-mismatch') {
        throw new CanopyError('conflict', `${file} has changed while it was released`);
      }
      const mayHelp = error instanceof CanopyError && error.retrySafe;
      if (!mayHelp || attempt >= ATTEMPTS) throw error;
      await delay(PAUSE_MS * 2 ** (attempt - 1));
    }
  }
}
