import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { CanopyError } from '#core/errors.ts';

/** SQLITE_BUSY of SQLite's result codes. */
const BUSY = 5;

/**
 * Makes this process the only `canopy up` on `dir` until it releases the lock or ends.
 * SQLite's lock is the system's own: however the holder ends, nothing is left behind.
 * @throws CanopyError `conflict` when another process holds it
 */
export function lockDir(dir: string): { release(): void } {
  const database = new DatabaseSync(join(dir, 'up.lock'), { timeout: 0 });
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (cause) {
    database.close();
    if (cause instanceof Error && 'errcode' in cause && cause.errcode === BUSY) {
      throw new CanopyError(
        'conflict',
        `Another \`canopy up\` runs on ${dir}; stop it, or choose another --dir`,
        { cause },
      );
    }
    throw cause;
  }
  return { release: () => database.close() };
}
