import { DatabaseSync } from 'node:sqlite';
import { CanopyError, messageOf } from '#core/errors.ts';

/** What leads from each version of the tables to the next; the last makes the version of today. */
const STEPS: readonly string[] = [
  `CREATE TABLE objects (
    site TEXT NOT NULL,
    path TEXT NOT NULL,
    generation TEXT NOT NULL UNIQUE,
    etag TEXT NOT NULL,
    size INTEGER NOT NULL,
    contentType TEXT NOT NULL,
    cacheControl TEXT,
    lastModifiedMs INTEGER NOT NULL,
    PRIMARY KEY (site, path)
  ) STRICT, WITHOUT ROWID;`,
  // The last change of each path, for replicas to follow: without an object, a deletion.
  `CREATE TABLE changes (
    change INTEGER PRIMARY KEY AUTOINCREMENT,
    site TEXT NOT NULL,
    path TEXT NOT NULL,
    atMs INTEGER NOT NULL,
    UNIQUE (site, path)
  ) STRICT;
  INSERT INTO changes (site, path, atMs) SELECT site, path, lastModifiedMs FROM objects;
  CREATE TABLE store (id TEXT NOT NULL) STRICT;
  INSERT INTO store VALUES (lower(hex(randomblob(16))));
  CREATE TABLE followed (
    replica TEXT PRIMARY KEY,
    store TEXT NOT NULL,
    change INTEGER NOT NULL
  ) STRICT;`,
  // Contents by their digest, so that many paths can have one, and one can be there before its path.
  `CREATE TABLE contents (
    site TEXT NOT NULL,
    digest TEXT NOT NULL,
    body TEXT NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    sinceMs INTEGER NOT NULL,
    checkedMs INTEGER NOT NULL DEFAULT 0,
    damaged INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (site, digest)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX contentsByCheck ON contents (damaged, checkedMs);
  INSERT INTO contents (site, digest, body, size, sinceMs)
    SELECT site, trim(etag, '"'), min(generation), size, lastModifiedMs
    FROM objects GROUP BY site, etag;
  CREATE TABLE newObjects (
    site TEXT NOT NULL,
    path TEXT NOT NULL,
    digest TEXT NOT NULL,
    contentType TEXT NOT NULL,
    cacheControl TEXT,
    lastModifiedMs INTEGER NOT NULL,
    PRIMARY KEY (site, path)
  ) STRICT, WITHOUT ROWID;
  INSERT INTO newObjects
    SELECT site, path, trim(etag, '"'), contentType, cacheControl, lastModifiedMs FROM objects;
  DROP TABLE objects;
  ALTER TABLE newObjects RENAME TO objects;
  CREATE INDEX objectsByDigest ON objects (site, digest);
  CREATE TABLE versions (
    site TEXT NOT NULL,
    path TEXT NOT NULL,
    lastModifiedMs INTEGER NOT NULL,
    digest TEXT NOT NULL,
    contentType TEXT NOT NULL,
    cacheControl TEXT,
    PRIMARY KEY (site, path, lastModifiedMs)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX versionsByDigest ON versions (site, digest);
  CREATE TABLE holds (
    site TEXT NOT NULL,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (site, name, digest)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX holdsByDigest ON holds (site, digest);
  CREATE TABLE usage (
    site TEXT PRIMARY KEY,
    objects INTEGER NOT NULL,
    bytes INTEGER NOT NULL
  ) STRICT;
  INSERT INTO usage
    SELECT site, (SELECT count(*) FROM objects WHERE objects.site = contents.site), sum(size)
    FROM contents GROUP BY site;
  ALTER TABLE store ADD COLUMN sequence INTEGER NOT NULL DEFAULT 0;`,
  // The release that each site was last switched to here.
  `CREATE TABLE releases (
    site TEXT PRIMARY KEY,
    id TEXT NOT NULL,
    sequence INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;`,
];

/**
 * Opens the index for this process alone, its tables brought forward.
 * @throws CanopyError `conflict` if another process has it open, `internal-error` if it is damaged
 */
export function openIndexDatabase(file: string): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(file);
    // The lock keeps a second process from sweeping away what this one is writing.
    database.exec(`
      PRAGMA locking_mode = EXCLUSIVE;
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      BEGIN EXCLUSIVE;
    `);
    const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version']);
    if (version > STEPS.length) {
      throw new CanopyError(
        'conflict',
        `${file} was written by a newer Canopy: schema ${version}, known up to ${STEPS.length}`,
      );
    }
    for (const step of STEPS.slice(version)) database.exec(step);
    database.exec(`PRAGMA user_version = ${STEPS.length}; COMMIT`);
    return database;
  } catch (error) {
    database?.close();
    throw explained(error, file);
  }
}

const SQLITE_BUSY = 5;

function explained(error: unknown, file: string): unknown {
  if (error instanceof CanopyError) return error;
  if (sqliteCode(error) === SQLITE_BUSY) {
    return new CanopyError('conflict', `${file} is in use by another process`, { cause: error });
  }
  return new CanopyError('internal-error', `Cannot open ${file}: ${messageOf(error)}`, {
    cause: error,
  });
}

/** SQLite's primary result code, where `error` is SQLite's. */
export function sqliteCode(error: unknown): number | undefined {
  const { errcode } = error as { errcode?: unknown };
  return typeof errcode === 'number' ? errcode & 0xff : undefined;
}
