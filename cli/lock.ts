import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { CanopyError, messageOf } from '#core/errors.ts';

/** SQLITE_BUSY of SQLite's result codes. */
const BUSY = 5;

/**
 * Makes this process the only one of its kind on `dir` until it releases the lock or ends.
 * SQLite's lock is the system's own: however the holder ends, nothing is left behind.
 * @param conflict what to say when another process holds it
 * @throws CanopyError `conflict`, or `internal-error` where there can be no lock
 */
export function lockDir(dir: string, name: string, conflict: string): { release(): void } {
  const file = join(dir, name);
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(file, { timeout: 0 });
    database.exec('BEGIN EXCLUSIVE');
  } catch (cause) {
    database?.close();
    if (cause instanceof Error && 'errcode' in cause && cause.errcode === BUSY) {
      throw new CanopyError('conflict', `${conflict}; stop it, or choose another --dir`, { cause });
    }
    throw new CanopyError('internal-error', `Cannot lock ${file}: ${messageOf(cause)}`, { cause });
  }
  const held = database;
  return { release: () => held.close() };
}
