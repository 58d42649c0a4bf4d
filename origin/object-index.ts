import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { CanopyError, messageOf } from '#core/errors.ts';
import {
  type Admission,
  type Change,
  isLater,
  type ListOptions,
  type OriginObject,
  type Version,
  type Written,
} from './object-store.ts';

/** Raised when the tables change, together with a step that brings older files forward. */
const SCHEMA_VERSION = 2;

/** What leads from each version to the next. */
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
];

/** How long a deletion is told to replicas; one that was away for longer may bring the object back. */
const DELETIONS_KEPT_MS = 90 * 86_400_000;

/** After every character of a normalised path. */
const BEHIND_ALL_PATHS = '\x7f';

type Row = Omit<OriginObject, 'cacheControl'> & { readonly cacheControl: string | null };

/**
 * Which generation is the content of which path. A change is one SQLite statement, durable when it
 * returns, so that a crash leaves the old object or the new one.
 */
export class ObjectIndex {
  readonly #database: DatabaseSync;
  readonly #get: StatementSync;
  readonly #put: StatementSync;
  readonly #delete: StatementSync;
  readonly #list: StatementSync;
  readonly #byGeneration: StatementSync;
  readonly #note: StatementSync;
  readonly #latest: StatementSync;
  readonly #changes: StatementSync;
  readonly #followed: StatementSync;
  readonly #follow: StatementSync;
  /** Made with the file. */
  readonly id: string;
  #objects: number;
  #bytes: number;

  /**
   * @param now ms since the Unix epoch
   * @throws CanopyError `conflict` if another process has it open, `internal-error` if it is damaged
   */
  constructor(file: string, now: number) {
    this.#database = openDatabase(file);
    const prepare = (sql: string): StatementSync => this.#database.prepare(sql);
    prepare(
      `DELETE FROM changes WHERE atMs < ?
       AND NOT EXISTS (SELECT 1 FROM objects WHERE site = changes.site AND path = changes.path)`,
    ).run(now - DELETIONS_KEPT_MS);
    this.#get = prepare('SELECT * FROM objects WHERE site = ? AND path = ?');
    this.#put = prepare(
      `INSERT OR REPLACE INTO objects VALUES (
        :site, :path, :generation, :etag, :size, :contentType, :cacheControl, :lastModifiedMs)`,
    );
    this.#delete = prepare('DELETE FROM objects WHERE site = ? AND path = ?');
    this.#list = prepare(
      `SELECT * FROM objects
       WHERE site = ? AND path > ? AND path >= ? AND path < ? ORDER BY path LIMIT ?`,
    );
    this.#note = prepare('INSERT OR REPLACE INTO changes (site, path, atMs) VALUES (?, ?, ?)');
    this.#latest = prepare(
      `SELECT atMs, etag FROM changes LEFT JOIN objects USING (site, path)
       WHERE site = ? AND path = ?`,
    );
    this.#changes = prepare(
      `SELECT change, site, path, atMs, etag, size, contentType, cacheControl
       FROM changes LEFT JOIN objects USING (site, path)
       WHERE change > ? ORDER BY change LIMIT ?`,
    );
    this.#followed = prepare('SELECT change FROM followed WHERE replica = ? AND store = ?');
    this.#follow = prepare('INSERT OR REPLACE INTO followed VALUES (?, ?, ?)');
    this.id = String(prepare('SELECT id FROM store').get()?.['id']);
    this.#byGeneration = prepare('SELECT 1 FROM objects WHERE generation = ?');
    const totals = prepare('SELECT count(*) AS objects, total(size) AS bytes FROM objects').get();
    this.#objects = Number(totals?.['objects']);
    this.#bytes = Number(totals?.['bytes']);
  }

  get totals(): { readonly objects: number; readonly bytes: number } {
    return { objects: this.#objects, bytes: this.#bytes };
  }

  get(site: string, path: string): OriginObject | undefined {
    const row = this.#get.get(site, path);
    return row === undefined ? undefined : fromRow(row as unknown as Row);
  }

  /** @returns what it has become, and what it replaces; `undefined`: what is here is later */
  put(
    draft: OriginObject,
    admit: Admission,
    written: Written,
  ): { readonly object: OriginObject; readonly replaced: OriginObject | undefined } | undefined {
    const { site, path } = draft;
    const replaced = this.get(site, path);
    const known = this.latest(site, path);
    if (written.by === 'replica' && !isLater(written, known)) return undefined;
    admit(replaced);
    const object = { ...draft, lastModifiedMs: timeOf(written, known) };
    this.#change(object, object.lastModifiedMs, () =>
      this.#put.run({ ...object, cacheControl: object.cacheControl ?? null }),
    );
    this.#count(replaced, object);
    return { object, replaced };
  }

  /** @returns the object that was there */
  delete(site: string, path: string, admit: Admission, written: Written): OriginObject | undefined {
    const current = this.get(site, path);
    const known = this.latest(site, path);
    if (written.by === 'replica' && !isLater(written, known)) return undefined;
    admit(current);
    if (current === undefined && written.by === 'publisher') return undefined;
    this.#change({ site, path }, timeOf(written, known), () => this.#delete.run(site, path));
    this.#count(current, undefined);
    return current;
  }

  latest(site: string, path: string): Version | undefined {
    const row = this.#latest.get(site, path);
    return row && { atMs: Number(row['atMs']), etag: String(row['etag'] ?? '') };
  }

  changes(after: number, limit: number): Change[] {
    return this.#changes.all(after, limit).map((row) => changeOf(row as unknown as ChangeRow));
  }

  /** The last change of a replica's store that has been taken over here; 0: none. */
  followed(replica: string, store: string): number {
    return Number(this.#followed.get(replica, store)?.['change'] ?? 0);
  }

  follow(replica: string, store: string, change: number): void {
    this.#follow.run(replica, store, change);
  }

  list(site: string, { prefix, after, limit }: ListOptions): OriginObject[] {
    const rows = this.#list.all(site, after, prefix, prefix + BEHIND_ALL_PATHS, limit);
    return rows.map((row) => fromRow(row as unknown as Row));
  }

  refersTo(generation: string): boolean {
    return this.#byGeneration.get(generation) !== undefined;
  }

  close(): void {
    this.#database.close();
  }

  /** Both or neither. */
  #change(
    { site, path }: Pick<OriginObject, 'site' | 'path'>,
    atMs: number,
    write: () => unknown,
  ): void {
    this.#database.exec('BEGIN');
    try {
      write();
      this.#note.run(site, path, atMs);
      this.#database.exec('COMMIT');
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw error;
    }
  }

  #count(before: OriginObject | undefined, after: OriginObject | undefined): void {
    this.#objects += Number(after !== undefined) - Number(before !== undefined);
    this.#bytes += (after?.size ?? 0) - (before?.size ?? 0);
  }
}

/** A publisher's change is later than all before it, whatever the clocks say. */
const timeOf = (written: Written, known: Version | undefined): number =>
  written.by === 'replica' ? written.atMs : Math.max(written.atMs, (known?.atMs ?? -1) + 1);

type ChangeRow = Omit<Change, 'object'> & {
  readonly [K in keyof NonNullable<Change['object']>]: NonNullable<Change['object']>[K] | null;
};

function changeOf(row: ChangeRow): Change {
  const { change, site, path, atMs, etag, size, contentType, cacheControl } = row;
  const isThere = etag !== null && size !== null && contentType !== null;
  const object = { etag, size, contentType, cacheControl: cacheControl ?? undefined };
  return { change, site, path, atMs, object: isThere ? (object as Change['object']) : null };
}

const fromRow = (row: Row): OriginObject => ({
  ...row,
  cacheControl: row.cacheControl ?? undefined,
});

function openDatabase(file: string): DatabaseSync {
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
    if (version > SCHEMA_VERSION) {
      throw new CanopyError(
        'conflict',
        `${file} was written by a newer Canopy: schema ${version}, known up to ${SCHEMA_VERSION}`,
      );
    }
    for (const step of STEPS.slice(version)) database.exec(step);
    database.exec(`PRAGMA user_version = ${SCHEMA_VERSION}; COMMIT`);
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
