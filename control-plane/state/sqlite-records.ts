import type { Draft, Page, RecordKind, RecordName, Records, StoredRecord } from './records.ts';
import type { Row, SqliteDatabase } from './sqlite-database.ts';

export const RECORDS_SCHEMA = `
  CREATE TABLE records (kind TEXT NOT NULL, id TEXT NOT NULL, revision INTEGER NOT NULL, value TEXT NOT NULL, PRIMARY KEY (kind, id)) STRICT, WITHOUT ROWID;
`;

const PUT = `INSERT INTO records VALUES (?, ?, 1, ?)
  ON CONFLICT DO UPDATE SET revision = revision + 1, value = excluded.value`;

export class SqliteRecords implements Records {
  readonly #database: SqliteDatabase;

  constructor(database: SqliteDatabase) {
    this.#database = database;
  }

  async get({ kind, id }: RecordName): Promise<StoredRecord | undefined> {
    const row = this.#database.get('SELECT * FROM records WHERE kind = ? AND id = ?', kind, id);
    return row === undefined ? undefined : toRecord(row);
  }

  async list(
    kind: RecordKind,
    { limit, after, descending = false }: Page,
  ): Promise<readonly StoredRecord[]> {
    const [comparison, order] = descending ? ['<', 'DESC'] : ['>', 'ASC'];
    const sql = `SELECT * FROM records WHERE kind = ?1 AND (?2 IS NULL OR id ${comparison} ?2)
      ORDER BY id ${order} LIMIT ?3`;
    return this.#database.all(sql, kind, after ?? null, limit).map(toRecord);
  }

  async put(draft: Draft, ifRevision?: number): Promise<number | undefined> {
    return this.#database.transaction(() => {
      const sql = 'SELECT revision FROM records WHERE kind = ? AND id = ?';
      const present = Number(this.#database.get(sql, draft.kind, draft.id)?.['revision'] ?? 0);
      if (ifRevision !== undefined && ifRevision !== present) return undefined;
      this.putNow(draft);
      return present + 1;
    });
  }

  /** Within a transaction. */
  putNow({ kind, id, value }: Draft): void {
    this.#database.run(PUT, kind, id, JSON.stringify(value));
  }

  async delete({ kind, id }: RecordName): Promise<boolean> {
    return this.#database.run('DELETE FROM records WHERE kind = ? AND id = ?', kind, id) > 0;
  }

  async trim(kind: RecordKind, keep: number): Promise<void> {
    const sql = `DELETE FROM records WHERE kind = ?1 AND id <=
      (SELECT id FROM records WHERE kind = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)`;
    this.#database.run(sql, kind, keep);
  }

  all(): readonly StoredRecord[] {
    return this.#database.all('SELECT * FROM records ORDER BY kind, id').map(toRecord);
  }

  /** Within a transaction. */
  replace(records: readonly StoredRecord[]): void {
    this.#database.run('DELETE FROM records');
    for (const { kind, id, revision, value } of records) {
      const text = JSON.stringify(value);
      this.#database.run('INSERT INTO records VALUES (?, ?, ?, ?)', kind, id, revision, text);
    }
  }
}

const toRecord = ({ kind, id, revision, value }: Row): StoredRecord => ({
  kind: String(kind) as RecordKind,
  id: String(id),
  revision: Number(revision),
  value: JSON.parse(String(value)) as unknown,
});
