import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { CanopyError, messageOf } from '#core/errors.ts';
import type { Admission, ListOptions, OriginObject } from './object-store.ts';

/** Raised when the table changes, together with a step that brings older files forward. */
const SCHEMA_VERSION = 1;

const SCHEMA = `
  CREATE TABLE objects (
    site TEXT NOT NULL,
    path TEXT NOT NULL,
    generation TEXT NOT NULL UNIQUE,
    etag TEXT NOT NULL,
    size INTEGER NOT NULL,
    contentType TEXT NOT NULL,
    cacheControl TEXT,
    lastModifiedMs INTEGER NOT NULL,
    PRIMARY KEY (site, path)
  ) STRICT, WITHOUT ROWID;
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

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
  #objects: number;
  #bytes: number;

  /** @throws CanopyError `conflict` if another process has it open, `internal-error` if it is damaged */
  constructor(file: string) {
    this.#database = openDatabase(file);
    const prepare = (sql: string): StatementSync => this.#database.prepare(sql);
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

  /** @returns the object that it replaces */
  put(object: OriginObject, admit: Admission): OriginObject | undefined {
    const current = this.get(object.site, object.path);
    admit(current);
    this.#put.run({ ...object, cacheControl: object.cacheControl ?? null });
    this.#count(current, object);
    return current;
  }

  /** @returns the object that was there */
  delete(site: string, path: string, admit: Admission): OriginObject | undefined {
    const current = this.get(site, path);
    admit(current);
    this.#delete.run(site, path);
    this.#count(current, undefined);
    return current;
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

  #count(before: OriginObject | undefined, after: OriginObject | undefined): void {
    this.#objects += Number(after !== undefined) - Number(before !== undefined);
    this.#bytes += (after?.size ?? 0) - (before?.size ?? 0);
  }
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
    if (version === 0) database.exec(SCHEMA);
    database.exec('COMMIT');
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
