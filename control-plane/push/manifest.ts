import { Worker } from 'node:worker_threads';
import { buffer } from 'node:stream/consumers';
import { CanopyError, messageOf } from '#core/errors.ts';
import type { Named } from './manifest-worker.ts';
import type { Expand } from './urls.ts';

const MAX_BYTES = 16_777_216;

/** A few lines of DASH can name any number of segments: what takes more than this is given up. */
const LIMITS = { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 32 };
const LONGEST_MS = 10_000;

/**
 * Reads an HLS playlist or a DASH manifest, which is pushed itself, too.
 * @throws CanopyError `upstream-invalid` where it is neither
 */
export const expandManifest: Expand = async (of, read, found) => {
  const content = await buffer(read(of, MAX_BYTES));
  const { objects, manifests } = await parse(content.toString(), of.url);
  for (const url of [of.url, ...objects]) found(url);
  return manifests;
};

async function parse(text: string, url: string): Promise<Named> {
  const worker = new Worker(new URL('./manifest-worker.ts', import.meta.url), {
    workerData: { text, url },
    resourceLimits: LIMITS,
  });
  const timer = setTimeout(() => void worker.terminate(), LONGEST_MS);
  try {
    return await new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
      worker.once('exit', () => reject(new Error('it takes too long to read')));
    });
  } catch (cause) {
    const [why] = messageOf(cause).split('\n');
    throw new CanopyError('upstream-invalid', `${url} is no manifest that can be read: ${why}`, {
      cause,
    });
  } finally {
    clearTimeout(timer);
    void worker.terminate();
  }
}
