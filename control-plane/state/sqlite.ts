import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, type SQLOutputValue } from 'node:sqlite';
import type { Config, JournalEvent, Network } from '#core/contract/event.ts';
import type { Node } from '#core/contract/node.ts';
import { type Ban, siteOfTarget } from '#core/contract/purge.ts';
import type { Site } from '#core/contract/site.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import type { Alongside, NodeCredential, PurgeRecord, StateStore, TokenRecord } from './store.ts';

const FILE = 'state.sqlite';
/** Each brings the state of one version to the next; the first makes a new one. */
const MIGRATIONS = [
  `
  CREATE TABLE journal (sequence INTEGER PRIMARY KEY, event TEXT NOT NULL) STRICT;
  CREATE TABLE head (only INTEGER PRIMARY KEY CHECK (only = 1), sequence INTEGER NOT NULL, network TEXT NOT NULL) STRICT;
  CREATE TABLE sites (name TEXT PRIMARY KEY, site TEXT NOT NULL) STRICT;
  CREATE TABLE nodes (name TEXT PRIMARY KEY, node TEXT NOT NULL) STRICT;
  CREATE TABLE credentials (node TEXT PRIMARY KEY REFERENCES nodes (name) ON DELETE CASCADE, digest BLOB NOT NULL UNIQUE) STRICT;
  CREATE TABLE tokens (name TEXT PRIMARY KEY, digest BLOB NOT NULL UNIQUE, token TEXT NOT NULL) STRICT;
  CREATE TABLE purges (id TEXT PRIMARY KEY, sequence INTEGER NOT NULL UNIQUE, status TEXT NOT NULL, purge TEXT NOT NULL) STRICT;
  CREATE INDEX purges_by_status ON purges (status, sequence);
  `,
  `
  ALTER TABLE purges ADD COLUMN key TEXT;
  CREATE UNIQUE INDEX purges_by_key ON purges (key);
  CREATE TABLE bans (sequence INTEGER PRIMARY KEY, id TEXT NOT NULL, site TEXT, ban TEXT NOT NULL) STRICT;
  `,
];

/** SQLite's primary result codes (sqlite.org/rescode.html) that mean something of their own here. */
const BUSY = 5;
const FULL = 13;

/**
 * Opens the state in `dir`, made if missing, and holds it exclusively until closed.
 * @throws CanopyError `conflict` if another control plane holds it, `internal-error` if it is damaged
 */
export function openSqliteState(dir: string): StateStore {
  const file = join(dir, FILE);
  let database: DatabaseSync | undefined;
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    database = new DatabaseSync(file, { timeout: 0 });
    prepareDatabase(database);
    return new SqliteState(database);
  } catch (cause) {
    database?.close();
    if (resultCode(cause) === BUSY) {
      throw new CanopyError('conflict', `The state in ${dir} is in use by another control plane`, {
        cause,
      });
    }
    throw new CanopyError('internal-error', `Cannot open ${file}: ${messageOf(cause)}`, { cause });
  }
}

function prepareDatabase(database: DatabaseSync): void {
  // Exclusive before WAL: the lock is then taken at the first access and kept until close, and no
  // shared memory file is needed. FULL: a sequence number given to nodes must survive a power cut.
  database.exec(`
    PRAGMA locking_mode = EXCLUSIVE;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON;
    BEGIN EXCLUSIVE;
  `);
  const damage = database.prepare('PRAGMA quick_check(1)').get()?.['quick_check'];
  if (damage !== 'ok') throw new Error(`the file is damaged: ${String(damage)}`);
  const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version']);
  if (version > MIGRATIONS.length) {
    throw new Error(`it has version ${version}, this Canopy knows ${MIGRATIONS.length}`);
  }
  for (const migration of MIGRATIONS.slice(version)) database.exec(migration);
  database.exec(`PRAGMA user_version = ${MIGRATIONS.length}`);
  database.exec('COMMIT');
}

class SqliteState implements StateStore {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, ReturnType<DatabaseSync['prepare']>>();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  async config(): Promise<Config | undefined> {
    const head = this.#get('SELECT sequence, network FROM head');
    if (head === undefined) return undefined;
    return {
      sequence: Number(head['sequence']),
      network: parse(head['network']) as Network,
      sites: this.#all('SELECT site FROM sites ORDER BY name').map((r) => parse(r['site']) as Site),
      nodes: this.#all('SELECT node FROM nodes ORDER BY name').map((r) => parse(r['node']) as Node),
      bans: this.#all('SELECT ban FROM bans ORDER BY sequence').map((r) => parse(r['ban']) as Ban),
    };
  }

  async events(after: number, limit: number): Promise<readonly JournalEvent[] | undefined> {
    const sql = 'SELECT event FROM journal WHERE sequence > ? ORDER BY sequence LIMIT ?';
    const events = this.#all(sql, after, limit).map((r) => parse(r['event']) as JournalEvent);
    const first = events[0]?.sequence ?? this.#sequence() + 1;
    return first > after + 1 ? undefined : events;
  }

  async append(events: readonly JournalEvent[], alongside: Alongside = {}): Promise<boolean> {
    return this.#transaction(() => {
      const first = events[0];
      if (first === undefined || first.sequence !== this.#sequence() + 1) return false;
      for (const event of events) this.#write(event);
      const { credential, purge } = alongside;
      if (credential !== undefined) {
        this.#run(
          'INSERT OR REPLACE INTO credentials (node, digest) VALUES (?, ?)',
          credential.node,
          credential.digest,
        );
      }
      if (purge !== undefined) {
        this.#run(
          'INSERT INTO purges (id, sequence, status, purge, key) VALUES (?, ?, ?, ?, ?)',
          purge.id,
          Math.max(...purge.sequences),
          purge.status,
          JSON.stringify(purge),
          purge.request?.key ?? null,
        );
      }
      return true;
    });
  }

  async trimJournal(keep: number): Promise<void> {
    this.#transaction(() => {
      const last = this.#sequence() - keep;
      this.#run('DELETE FROM journal WHERE sequence <= ?', last);
      // The latest stays: it tells which fence a node must have reached.
      this.#run(
        `DELETE FROM purges WHERE sequence <= ? AND status = 'complete'
         AND sequence < (SELECT max(sequence) FROM purges WHERE status = 'complete')`,
        last,
      );
    });
  }

  async tokens(): Promise<readonly TokenRecord[]> {
    return this.#all('SELECT token, digest FROM tokens ORDER BY name').map(toToken);
  }

  async addToken({ digest, ...token }: TokenRecord): Promise<boolean> {
    return this.#transaction(() => {
      const sql =
        'INSERT INTO tokens (name, digest, token) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING';
      return this.#run(sql, token.name, digest, JSON.stringify(token)) > 0;
    });
  }

  async deleteToken(name: string): Promise<boolean> {
    return this.#transaction(() => this.#run('DELETE FROM tokens WHERE name = ?', name) > 0);
  }

  async tokenByDigest(digest: Uint8Array): Promise<TokenRecord | undefined> {
    const row = this.#get('SELECT token, digest FROM tokens WHERE digest = ?', digest);
    return row === undefined ? undefined : toToken(row);
  }

  async credentialByDigest(digest: Uint8Array): Promise<NodeCredential | undefined> {
    const row = this.#get('SELECT node, digest FROM credentials WHERE digest = ?', digest);
    if (row === undefined) return undefined;
    return { node: String(row['node']), digest: row['digest'] as Uint8Array };
  }

  async purge(id: string): Promise<PurgeRecord | undefined> {
    const row = this.#get('SELECT purge FROM purges WHERE id = ?', id);
    return row === undefined ? undefined : toPurge(row);
  }

  async purgeByKey(key: string): Promise<PurgeRecord | undefined> {
    const row = this.#get('SELECT purge FROM purges WHERE key = ?', key);
    return row === undefined ? undefined : toPurge(row);
  }

  async purges(limit: number, before = Number.MAX_SAFE_INTEGER): Promise<readonly PurgeRecord[]> {
    const sql = 'SELECT purge FROM purges WHERE sequence < ? ORDER BY sequence DESC LIMIT ?';
    return this.#all(sql, before, limit).map(toPurge);
  }

  async pendingPurges(): Promise<readonly PurgeRecord[]> {
    const sql = "SELECT purge FROM purges WHERE status = 'pending' ORDER BY sequence";
    return this.#all(sql).map(toPurge);
  }

  async completedFence(): Promise<number> {
    const sql = "SELECT max(sequence) AS fence FROM purges WHERE status = 'complete'";
    return Number(this.#get(sql)?.['fence'] ?? 0);
  }

  async updatePurge(purge: PurgeRecord): Promise<void> {
    this.#transaction(() =>
      this.#run(
        'UPDATE purges SET status = ?, purge = ? WHERE id = ?',
        purge.status,
        JSON.stringify(purge),
        purge.id,
      ),
    );
  }

  async close(): Promise<void> {
    if (!this.#database.isOpen) return;
    this.#statements.clear();
    this.#database.close();
  }

  #sequence(): number {
    return Number(this.#get('SELECT sequence FROM head')?.['sequence'] ?? 0);
  }

  #write(event: JournalEvent): void {
    this.#run('INSERT INTO journal VALUES (?, ?)', event.sequence, JSON.stringify(event));
    switch (event.type) {
      case 'site.put':
        this.#run(
          'INSERT OR REPLACE INTO sites VALUES (?, ?)',
          event.site.name,
          JSON.stringify(event.site),
        );
        break;
      case 'site.delete':
        this.#run('DELETE FROM sites WHERE name = ?', event.name);
        this.#run('DELETE FROM bans WHERE site = ?', event.name);
        break;
      case 'node.put':
        // Not OR REPLACE: that deletes the row first, and with it the node's credential.
        this.#run(
          'INSERT INTO nodes VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET node = excluded.node',
          event.node.name,
          JSON.stringify(event.node),
        );
        break;
      case 'node.delete':
        this.#run('DELETE FROM nodes WHERE name = ?', event.name);
        break;
      case 'network.put':
        this.#run(
          'INSERT OR REPLACE INTO head VALUES (1, ?, ?)',
          event.sequence,
          JSON.stringify(event.network),
        );
        break;
      case 'purge': {
        const { id, mode, target } = event.purge;
        const ban: Ban = { id, sequence: event.sequence, target };
        if (mode !== 'ban') break;
        this.#run(
          'INSERT INTO bans (sequence, id, site, ban) VALUES (?, ?, ?, ?)',
          event.sequence,
          id,
          siteOfTarget(target) ?? null,
          JSON.stringify(ban),
        );
        break;
      }
      case 'ban.lift':
        this.#run('DELETE FROM bans WHERE id = ?', event.id);
        break;
    }
    this.#run('UPDATE head SET sequence = ?', event.sequence);
  }

  #transaction<T>(work: () => T): T {
    this.#run('BEGIN IMMEDIATE');
    try {
      const result = work();
      this.#run('COMMIT');
      return result;
    } catch (error) {
      // Some failures have rolled back by themselves.
      if (this.#database.isTransaction) this.#run('ROLLBACK');
      throw error;
    }
  }

  #get(sql: string, ...values: Parameter[]): Row | undefined {
    return translated(() => this.#prepare(sql).get(...values));
  }

  #all(sql: string, ...values: Parameter[]): Row[] {
    return translated(() => this.#prepare(sql).all(...values));
  }

  /** @returns how many rows changed */
  #run(sql: string, ...values: Parameter[]): number {
    return translated(() => Number(this.#prepare(sql).run(...values).changes));
  }

  #prepare(sql: string): ReturnType<DatabaseSync['prepare']> {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#database.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }
}

type Parameter = string | number | Uint8Array | null;
type Row = Record<string, SQLOutputValue>;

// The store wrote these values itself, checked: they are not checked again.
const parse = (text: SQLOutputValue | undefined): unknown => JSON.parse(String(text));

const toPurge = (row: Row): PurgeRecord => parse(row['purge']) as PurgeRecord;

const toToken = (row: Row): TokenRecord => ({
  ...(parse(row['token']) as Omit<TokenRecord, 'digest'>),
  digest: row['digest'] as Uint8Array,
});

function translated<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    const code = resultCode(cause) === FULL ? 'insufficient-storage' : 'internal-error';
    throw new CanopyError(code, `The state cannot be used: ${messageOf(cause)}`, { cause });
  }
}

/** The primary result code of an SQLite error; extended codes keep it in their low byte. */
function resultCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error)) return undefined;
  return typeof error.errcode === 'number' ? error.errcode & 0xff : undefined;
}
