import type { Readable } from 'node:stream';
import type { ByteRange } from '#core/http/ranges.ts';

/** Where contents lie, each under a name that is used once. */
export interface Bodies {
  /**
   * Writes a new body, durable once it resolves. If that fails, whatever there is of it is the
   * caller's to remove.
   * @throws CanopyError `insufficient-storage`, `storage-unavailable`
   */
  write(name: string, content: AsyncIterable<Buffer>): Promise<void>;
  /**
   * One that is read on when it is removed is read to its end.
   * @param size what the body must have, for a shorter one would leave its reader waiting
   * @returns `undefined` if there is no such body
   * @throws CanopyError `internal-error` if it is damaged
   */
  read(name: string, size: number, range: ByteRange | undefined): Promise<Readable | undefined>;
  remove(name: string): Promise<void>;
  /** Removes every body that `keep` does not want, and goes on past those that cannot be removed. */
  sweep(keep: (name: string) => boolean, onError: (error: unknown) => void): Promise<void>;
}
