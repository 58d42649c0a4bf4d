import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, type SQLOutputValue } from 'node:sqlite';
import type { Config, JournalEvent, Network } from '#core/contract/event.ts';
import type { Node } from '#core/contract/node.ts';
import type { Site } from '#core/contract/site.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import { MemoryStandings } from './memory-standings.ts';
import type { Standings } from './standings.ts';
import type {
  Alongside,
  JournalHead,
  NodeCredential,
  PurgeRecord,
  StateContent,
  StateStore,
  TokenRecord,
} from './store.ts';

const FILE = 'state.sqlite';
const SCHEMA_VERSION = 2;

const SCHEMA = `
  CREATE TABLE journal (sequence INTEGER PRIMARY KEY, event TEXT NOT NULL) STRICT;
  CREATE TABLE head (only INTEGER PRIMARY KEY CHECK (only = 1), sequence INTEGER NOT NULL, network TEXT NOT NULL, journal TEXT NOT NULL) STRICT;
  CREATE TABLE sites (name TEXT PRIMARY KEY, site TEXT NOT NULL) STRICT;
  CREATE TABLE nodes (name TEXT PRIMARY KEY, node TEXT NOT NULL) STRICT;
  CREATE TABLE credentials (node TEXT PRIMARY KEY REFERENCES nodes (name) ON DELETE CASCADE, digest BLOB NOT NULL UNIQUE) STRICT;
  CREATE TABLE tokens (name TEXT PRIMARY KEY, digest BLOB NOT NULL UNIQUE, token TEXT NOT NULL) STRICT;
  CREATE TABLE purges (id TEXT PRIMARY KEY, sequence INTEGER NOT NULL UNIQUE, status TEXT NOT NULL, purge TEXT NOT NULL) STRICT;
  CREATE INDEX purges_by_status ON purges (status, sequence);
`;

/** Version 1 knew no journal identity. */
const FROM_VERSION_1 = `
  ALTER TABLE head ADD COLUMN journal TEXT NOT NULL DEFAULT '';
  UPDATE head SET journal = lower(hex(randomblob(16)));
`;

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
  const version = database.prepare('PRAGMA user_version').get()?.['user_version'];
  const steps = version === 0 ? SCHEMA : version === 1 ? FROM_VERSION_1 : undefined;
  if (steps !== undefined) database.exec(`${steps} PRAGMA user_version = ${SCHEMA_VERSION};`);
  else if (version !== SCHEMA_VERSION) {
    throw new Error(`it has version ${String(version)}, this Canopy knows ${SCHEMA_VERSION}`);
  }
  database.exec('COMMIT');
}

class SqliteState implements StateStore {
  readonly standings: Standings;
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, ReturnType<DatabaseSync['prepare']>>();

  constructor(database: DatabaseSync) {
    this.#database = database;
    const sql = "SELECT max(sequence) AS fence FROM purges WHERE status = 'complete'";
    this.standings = new MemoryStandings(Number(this.#get(sql)?.['fence'] ?? 0));
  }

  async head(): Promise<JournalHead | undefined> {
    const row = this.#get('SELECT journal, sequence FROM head');
    if (row === undefined) return undefined;
    return { journal: String(row['journal']), sequence: Number(row['sequence']) };
  }

  async config(): Promise<Config | undefined> {
    return this.#config();
  }

  #config(): Config | undefined {
    const head = this.#get('SELECT journal, sequence, network FROM head');
    if (head === undefined) return undefined;
    return {
      journal: String(head['journal']),
      sequence: Number(head['sequence']),
      network: parse(head['network']) as Network,
      sites: this.#all('SELECT site FROM sites ORDER BY name').map((r) => parse(r['site']) as Site),
      nodes: this.#all('SELECT node FROM nodes ORDER BY name').map((r) => parse(r['node']) as Node),
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
      if (credential !== undefined) this.#insertCredential(credential);
      if (purge !== undefined) this.#insertPurge(purge);
      return true;
    });
  }

  async renewJournal(before: string, { journal, sequence }: JournalHead): Promise<void> {
    this.#transaction(() => {
      const sql = 'UPDATE head SET journal = ?, sequence = ? WHERE journal = ?';
      if (this.#run(sql, journal, sequence, before) > 0) this.#run('DELETE FROM journal');
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
    return this.#tokens();
  }

  #tokens(): readonly TokenRecord[] {
    return this.#all('SELECT token, digest FROM tokens ORDER BY name').map(toToken);
  }

  async addToken({ digest, ...token }: TokenRecord): Promise<boolean> {
    const sql =
      'INSERT INTO tokens (name, digest, token) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING';
    return this.#run(sql, token.name, digest, JSON.stringify(token)) > 0;
  }

  async deleteToken(name: string): Promise<boolean> {
    return this.#run('DELETE FROM tokens WHERE name = ?', name) > 0;
  }

  async tokenByDigest(digest: Uint8Array): Promise<TokenRecord | undefined> {
    const row = this.#get('SELECT token, digest FROM tokens WHERE digest = ?', digest);
    return row === undefined ? undefined : toToken(row);
  }

  async credentialByDigest(digest: Uint8Array): Promise<NodeCredential | undefined> {
    const row = this.#get('SELECT node, digest FROM credentials WHERE digest = ?', digest);
    if (row === undefined) return undefined;
    return toCredential(row);
  }

  async purge(id: string): Promise<PurgeRecord | undefined> {
    const row = this.#get('SELECT purge FROM purges WHERE id = ?', id);
    return row === undefined ? undefined : toPurge(row);
  }

  async purges(limit: number): Promise<readonly PurgeRecord[]> {
    return this.#all('SELECT purge FROM purges ORDER BY sequence DESC LIMIT ?', limit).map(toPurge);
  }

  async pendingPurges(): Promise<readonly PurgeRecord[]> {
    const sql = "SELECT purge FROM purges WHERE status = 'pending' ORDER BY sequence";
    return this.#all(sql).map(toPurge);
  }

  async updatePurge(purge: PurgeRecord): Promise<void> {
    const sql = 'UPDATE purges SET status = ?, purge = ? WHERE id = ?';
    this.#run(sql, purge.status, JSON.stringify(purge), purge.id);
  }

  async content(): Promise<StateContent | undefined> {
    // Read without a pause, in which something could be written.
    const config = this.#config();
    if (config === undefined) return undefined;
    return {
      config,
      tokens: this.#tokens(),
      credentials: this.#all('SELECT node, digest FROM credentials ORDER BY node').map(
        toCredential,
      ),
      purges: this.#all('SELECT purge FROM purges ORDER BY sequence').map(toPurge),
    };
  }

  async replace({ config, credentials, tokens, purges }: StateContent): Promise<void> {
    this.#transaction(() => {
      for (const table of TABLES) this.#run(`DELETE FROM ${table}`);
      const { journal, sequence, network, sites, nodes } = config;
      this.#run('INSERT INTO head VALUES (1, ?, ?, ?)', sequence, JSON.stringify(network), journal);
      for (const site of sites) this.#run(PUT_SITE, site.name, JSON.stringify(site));
      for (const node of nodes) this.#run(PUT_NODE, node.name, JSON.stringify(node));
      for (const credential of credentials) this.#insertCredential(credential);
      for (const { digest, ...token } of tokens) {
        const sql = 'INSERT INTO tokens (name, digest, token) VALUES (?, ?, ?)';
        this.#run(sql, token.name, digest, JSON.stringify(token));
      }
      for (const purge of purges) this.#insertPurge(purge);
    });
  }

  /** Nobody else can change a state that is held exclusively. */
  watch(): void {}

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
        this.#run(PUT_SITE, event.site.name, JSON.stringify(event.site));
        break;
      case 'site.delete':
        this.#run('DELETE FROM sites WHERE name = ?', event.name);
        break;
      case 'node.put':
        this.#run(PUT_NODE, event.node.name, JSON.stringify(event.node));
        break;
      case 'node.delete':
        this.#run('DELETE FROM nodes WHERE name = ?', event.name);
        break;
      case 'network.put':
        this.#run(PUT_NETWORK, event.sequence, JSON.stringify(event.network), randomUUID());
        break;
      case 'purge':
        break;
    }
    this.#run('UPDATE head SET sequence = ?', event.sequence);
  }

  #insertCredential({ node, digest }: NodeCredential): void {
    this.#run('INSERT OR REPLACE INTO credentials (node, digest) VALUES (?, ?)', node, digest);
  }

  #insertPurge(purge: PurgeRecord): void {
    this.#run(
      'INSERT INTO purges (id, sequence, status, purge) VALUES (?, ?, ?, ?)',
      purge.id,
      Math.max(...purge.sequences),
      purge.status,
      JSON.stringify(purge),
    );
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

const TABLES = ['journal', 'head', 'credentials', 'nodes', 'sites', 'tokens', 'purges'] as const;

const PUT_SITE = 'INSERT OR REPLACE INTO sites VALUES (?, ?)';
// Not OR REPLACE: that deletes the row first, and with it the node's credential.
const PUT_NODE =
  'INSERT INTO nodes VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET node = excluded.node';
/** The journal is named when it is begun. */
const PUT_NETWORK = `INSERT INTO head VALUES (1, ?, ?, ?)
  ON CONFLICT (only) DO UPDATE SET sequence = excluded.sequence, network = excluded.network`;

type Parameter = string | number | Uint8Array;
type Row = Record<string, SQLOutputValue>;

// The store wrote these values itself, checked: they are not checked again.
const parse = (text: SQLOutputValue | undefined): unknown => JSON.parse(String(text));

const toPurge = (row: Row): PurgeRecord => parse(row['purge']) as PurgeRecord;

const toCredential = (row: Row): NodeCredential => ({
  node: String(row['node']),
  digest: row['digest'] as Uint8Array,
});

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
