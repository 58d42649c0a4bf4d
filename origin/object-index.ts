import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { openIndexDatabase } from './index-database.ts';
import type { IndexChange } from './index-change.ts';
import type {
  Change,
  Content,
  ListOptions,
  OriginObject,
  Released,
  Usage,
  Version,
} from './object-store.ts';

/** How long a deletion is told to replicas; one that was away for longer may bring the object back. */
const DELETIONS_KEPT_MS = 90 * 86_400_000;

/** After every character of a normalised path. */
const BEHIND_ALL_PATHS = '\x7f';

/** A content and the body that it is. */
export interface KeptContent extends Content {
  readonly body: string;
  readonly isDamaged: boolean;
}

const OBJECT = `SELECT path, objects.site, digest, size, contentType, cacheControl, lastModifiedMs
  FROM objects JOIN contents USING (site, digest)`;
const CONTENT = 'SELECT site, digest, size, body, damaged FROM contents';
const UNREFERENCED = `NOT EXISTS
    (SELECT 1 FROM objects o WHERE o.site = contents.site AND o.digest = contents.digest)
  AND NOT EXISTS
    (SELECT 1 FROM versions v WHERE v.site = contents.site AND v.digest = contents.digest)
  AND NOT EXISTS
    (SELECT 1 FROM holds h WHERE h.site = contents.site AND h.digest = contents.digest)`;

const SQL = {
  get: `${OBJECT} WHERE objects.site = ? AND path = ?`,
  list: `${OBJECT}
    WHERE objects.site = ? AND path > ? AND path >= ? AND path < ? ORDER BY path LIMIT ?`,
  putObject: 'INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?)',
  deleteObject: 'DELETE FROM objects WHERE site = ? AND path = ?',
  content: `${CONTENT} WHERE site = ? AND digest = ?`,
  hasBody: 'SELECT 1 FROM contents WHERE body = ?',
  putContent: `INSERT OR REPLACE INTO contents (site, digest, body, size, sinceMs)
    VALUES (?, ?, ?, ?, ?)`,
  dropContent: 'DELETE FROM contents WHERE site = ? AND digest = ?',
  isUnreferenced: `SELECT 1 FROM contents WHERE site = ? AND digest = ? AND ${UNREFERENCED}`,
  unreferenced: `${CONTENT} WHERE sinceMs < ? AND ${UNREFERENCED}`,
  markChecked: 'UPDATE contents SET checkedMs = ? WHERE body = ?',
  markDamaged: 'UPDATE contents SET damaged = 1 WHERE body = ? AND damaged = 0',
  nextToCheck: `${CONTENT} WHERE damaged = 0 AND checkedMs < ? ORDER BY checkedMs LIMIT 1`,
  damaged: `${CONTENT} WHERE damaged = 1 ORDER BY site, digest LIMIT ?`,
  countDamaged: 'SELECT count(*) AS count FROM contents WHERE damaged = 1',
  addVersion: `INSERT OR REPLACE INTO versions
    SELECT site, path, lastModifiedMs, digest, contentType, cacheControl
    FROM objects WHERE site = ? AND path = ?`,
  dropVersion: 'DELETE FROM versions WHERE site = ? AND path = ? AND lastModifiedMs = ?',
  versions: `SELECT path, versions.site, digest, size, contentType, cacheControl, lastModifiedMs
    FROM versions JOIN contents USING (site, digest)
    WHERE versions.site = ? AND path = ? ORDER BY lastModifiedMs DESC`,
  held: 'SELECT digest FROM holds WHERE site = ? AND name = ?',
  letGo: 'DELETE FROM holds WHERE site = ? AND name = ?',
  hold: 'INSERT OR IGNORE INTO holds VALUES (?, ?, ?)',
  released: 'SELECT id, sequence FROM releases WHERE site = ?',
  release: 'INSERT OR REPLACE INTO releases VALUES (?, ?, ?)',
  usage: 'SELECT objects, bytes FROM usage WHERE site = ?',
  addUsage: `INSERT INTO usage VALUES (?, ?, ?) ON CONFLICT (site)
    DO UPDATE SET objects = objects + excluded.objects, bytes = bytes + excluded.bytes`,
  totals: 'SELECT total(objects) AS objects, total(bytes) AS bytes FROM usage',
  note: 'INSERT OR REPLACE INTO changes (site, path, atMs) VALUES (?, ?, ?)',
  latest: `SELECT atMs, digest FROM changes LEFT JOIN objects USING (site, path)
    WHERE site = ? AND path = ?`,
  changes: `SELECT change, site, path, atMs, digest, size, contentType, cacheControl
    FROM changes LEFT JOIN (objects JOIN contents USING (site, digest)) USING (site, path)
    WHERE change > ? ORDER BY change LIMIT ?`,
  followed: 'SELECT change FROM followed WHERE replica = ? AND store = ?',
  follow: 'INSERT OR REPLACE INTO followed VALUES (?, ?, ?)',
  sequence: 'SELECT sequence FROM store',
  setSequence: 'UPDATE store SET sequence = ?',
} as const;

type Prepared = Readonly<Record<keyof typeof SQL, StatementSync>>;

/** Which content is at which path, and which body is which content. */
export class ObjectIndex {
  readonly file: string;
  /** The file as it is, for copying it. */
  readonly database: DatabaseSync;
  readonly #sql: Prepared;
  /** Of the store. */
  readonly id: string;

  /**
   * @param now ms since the Unix epoch
   * @param id of the store, where the file does not make it
   * @throws CanopyError `conflict` if another process has it open, `internal-error` if it is damaged
   */
  constructor(file: string, now: number, id?: string) {
    const database = openIndexDatabase(file);
    this.file = file;
    this.database = database;
    this.#sql = Object.fromEntries(
      Object.entries(SQL).map(([name, sql]) => [name, database.prepare(sql)]),
    ) as Prepared;
    database
      .prepare(
        `DELETE FROM changes WHERE atMs < ?
         AND NOT EXISTS (SELECT 1 FROM objects WHERE site = changes.site AND path = changes.path)`,
      )
      .run(now - DELETIONS_KEPT_MS);
    if (id !== undefined) database.prepare('UPDATE store SET id = ?').run(id);
    this.id = String(database.prepare('SELECT id FROM store').get()?.['id']);
  }

  get(site: string, path: string): OriginObject | undefined {
    const row = this.#sql.get.get(site, path);
    return row && objectOf(row);
  }

  list(site: string, { prefix, after, limit }: ListOptions): OriginObject[] {
    const end = prefix + BEHIND_ALL_PATHS;
    return this.#sql.list.all(site, after, prefix, end, limit).map(objectOf);
  }

  versions(site: string, path: string): OriginObject[] {
    return this.#sql.versions.all(site, path).map(objectOf);
  }

  latest(site: string, path: string): Version | undefined {
    const row = this.#sql.latest.get(site, path);
    if (row === undefined) return undefined;
    const { atMs, digest } = row;
    return { atMs: Number(atMs), etag: digest === null ? '' : `"${String(digest)}"` };
  }

  changes(after: number, limit: number): Change[] {
    return this.#sql.changes.all(after, limit).map((row) => ({
      change: Number(row['change']),
      site: String(row['site']),
      path: String(row['path']),
      atMs: Number(row['atMs']),
      object: row['digest'] === null ? null : objectOf(row),
    }));
  }

  content(site: string, digest: string): KeptContent | undefined {
    const row = this.#sql.content.get(site, digest);
    return row && contentOf(row);
  }

  hasBody(body: string): boolean {
    return this.#sql.hasBody.get(body) !== undefined;
  }

  isReferenced({ site, digest }: Pick<Content, 'site' | 'digest'>): boolean {
    return this.#sql.isUnreferenced.get(site, digest) === undefined;
  }

  /** Contents since before `sinceMs` that nothing refers to. */
  unreferenced(sinceMs: number): KeptContent[] {
    return this.#sql.unreferenced.all(sinceMs).map(contentOf);
  }

  held(site: string, name: string): string[] {
    return this.#sql.held.all(site, name).map((row) => String(row['digest']));
  }

  released(site: string): Released | undefined {
    const row = this.#sql.released.get(site);
    return row && { id: String(row['id']), sequence: Number(row['sequence']) };
  }

  usage(site: string): Usage {
    const row = this.#sql.usage.get(site);
    return { objects: Number(row?.['objects'] ?? 0), bytes: Number(row?.['bytes'] ?? 0) };
  }

  get totals(): Usage {
    const row = this.#sql.totals.get();
    return { objects: Number(row?.['objects']), bytes: Number(row?.['bytes']) };
  }

  /** What was checked longest ago, and before `checkedMs`. */
  nextToCheck(checkedMs: number): KeptContent | undefined {
    const row = this.#sql.nextToCheck.get(checkedMs);
    return row && contentOf(row);
  }

  markChecked(body: string, atMs: number): void {
    this.#sql.markChecked.run(atMs, body);
  }

  /** @returns whether that is news */
  markDamaged(body: string): boolean {
    return this.#sql.markDamaged.run(body).changes > 0;
  }

  damaged(limit: number): KeptContent[] {
    return this.#sql.damaged.all(limit).map(contentOf);
  }

  get damagedCount(): number {
    return Number(this.#sql.countDamaged.get()?.['count']);
  }

  /** The last change of a replica's store that has been taken over here; 0: none. */
  followed(replica: string, store: string): number {
    return Number(this.#sql.followed.get(replica, store)?.['change'] ?? 0);
  }

  follow(replica: string, store: string, change: number): void {
    this.#sql.follow.run(replica, store, change);
  }

  /** Of the last record of the change log that is in here. */
  get sequence(): number {
    return Number(this.#sql.sequence.get()?.['sequence']);
  }

  set sequence(sequence: number) {
    this.#sql.setSequence.run(sequence);
  }

  /** Runs statements such as `BEGIN`. */
  execute(statement: string): void {
    this.database.exec(statement);
  }

  get isInTransaction(): boolean {
    return this.database.isTransaction;
  }

  /** @returns the body that nothing refers to any more, if there is one */
  apply(change: IndexChange): string | undefined {
    const sql = this.#sql;
    const { site } = change;
    switch (change.kind) {
      case 'content': {
        const { digest, body, size, atMs } = change;
        const before = this.content(site, digest);
        sql.putContent.run(site, digest, body, size, atMs);
        sql.addUsage.run(site, 0, size - (before?.size ?? 0));
        return before?.body;
      }
      case 'drop': {
        const { digest } = change;
        const before = this.content(site, digest);
        sql.dropContent.run(site, digest);
        sql.addUsage.run(site, 0, -(before?.size ?? 0));
        return before?.body;
      }
      case 'object': {
        const { path, digest, contentType, cacheControl, atMs } = change;
        const isNew = this.get(site, path) === undefined;
        sql.putObject.run(site, path, digest, contentType, cacheControl, atMs);
        sql.note.run(site, path, atMs);
        sql.addUsage.run(site, Number(isNew), 0);
        return undefined;
      }
      case 'delete': {
        const { path, atMs } = change;
        const { changes } = sql.deleteObject.run(site, path);
        sql.note.run(site, path, atMs);
        sql.addUsage.run(site, -Number(changes), 0);
        return undefined;
      }
      case 'version':
        sql.addVersion.run(site, change.path);
        return undefined;
      case 'forget':
        sql.dropVersion.run(site, change.path, change.atMs);
        return undefined;
      case 'hold':
        sql.letGo.run(site, change.name);
        for (const digest of change.digests) sql.hold.run(site, change.name, digest);
        return undefined;
      case 'release':
        sql.release.run(site, change.id, change.sequence);
        return undefined;
    }
  }

  close(): void {
    this.database.close();
  }
}

type Row = Readonly<Record<string, unknown>>;

function objectOf(row: Row): OriginObject {
  const { site, path, digest, size, contentType, cacheControl, lastModifiedMs } =
    row as unknown as Omit<OriginObject, 'etag' | 'cacheControl'> & {
      readonly cacheControl: string | null;
    };
  const delivery = { contentType, cacheControl: cacheControl ?? undefined };
  return { site, path, digest, etag: `"${digest}"`, size, ...delivery, lastModifiedMs };
}

const contentOf = (row: Row): KeptContent => ({
  site: String(row['site']),
  digest: String(row['digest']),
  size: Number(row['size']),
  body: String(row['body']),
  isDamaged: row['damaged'] === 1,
});
