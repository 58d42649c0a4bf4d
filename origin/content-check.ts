import { createHash } from 'node:crypto';
import { pipeline, type Readable, Transform } from 'node:stream';
import { CanopyError } from '#core/errors.ts';
import type { Incoming } from './object-store.ts';

/** Bytes on their way into a store, measured as they pass. */
export class MeasuredContent {
  readonly #hash = createHash('sha256');
  readonly #incoming: Incoming;
  readonly #admitSize: (size: number) => void;
  size = 0;

  /** @param admitSize throws once there are more bytes than may be */
  constructor(incoming: Incoming, admitSize: (size: number) => void) {
    this.#incoming = incoming;
    this.#admitSize = admitSize;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void, undefined> {
    for await (const chunk of this.#incoming.content) {
      this.#hash.update(chunk);
      this.size += chunk.length;
      this.#admitSize(this.size);
      yield chunk;
    }
  }

  /**
   * To be called once, when all has passed.
   * @returns the content's SHA-256
   * @throws CanopyError `invalid-request`, `digest-mismatch` if it is not as announced
   */
  digest(): string {
    const { size, digest } = this.#incoming;
    if (size !== undefined && size !== this.size) {
      throw new CanopyError(
        'invalid-request',
        `Expected ${size} bytes of content, received ${this.size}`,
      );
    }
    const found = this.#hash.digest('hex');
    if (digest !== undefined && digest !== found) {
      throw new CanopyError(
        'digest-mismatch',
        `Expected content with SHA-256 ${digest}, received ${found}`,
      );
    }
    return found;
  }
}

/** A body that fails before its last bytes if it is not what its digest says. */
export function checked(body: Readable, digest: string, onDamage: () => void): Readable {
  const hash = createHash('sha256');
  let held: Buffer | undefined;
  const check = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      const before = held;
      held = chunk;
      done(null, before);
    },
    flush(done) {
      const found = hash.digest('hex');
      if (found === digest) return done(null, held);
      onDamage();
      done(new CanopyError('internal-error', `Content ${digest} is damaged: it is ${found}`));
    },
  });
  pipeline(body, check, () => undefined);
  return check;
}
