import type { Readable } from 'node:stream';
import { CanopyError } from '#core/errors.ts';
import type { ByteRange } from '#core/http/ranges.ts';
import type { Bodies } from '../bodies.ts';
import type { Bucket } from './bucket.ts';

const BODIES = 'bodies/';

/** Bodies in a bucket. */
export class BodyBucket implements Bodies {
  readonly #bucket: Bucket;

  constructor(bucket: Bucket) {
    this.#bucket = bucket;
  }

  async write(name: string, content: AsyncIterable<Buffer>): Promise<void> {
    await this.#bucket.upload(BODIES + name, content);
  }

  async read(
    name: string,
    size: number,
    range: ByteRange | undefined,
  ): Promise<Readable | undefined> {
    const found = await this.#bucket.read(BODIES + name, range);
    if (found === undefined || found.size === size) return found?.body;
    found.body.destroy();
    throw new CanopyError(
      'internal-error',
      `Body ${name} is damaged: expected ${size} bytes, found ${found.size}`,
    );
  }

  async remove(name: string): Promise<void> {
    await this.#bucket.remove(BODIES + name);
  }

  async sweep(keep: (name: string) => boolean, onError: (error: unknown) => void): Promise<void> {
    const nameOf = (key: string): string => key.slice(BODIES.length);
    for await (const key of this.#bucket.keys(BODIES)) {
      if (!keep(nameOf(key))) await this.#bucket.remove(key).catch(onError);
    }
    await this.#bucket.endUploads(BODIES, (key) => keep(nameOf(key)));
  }
}
