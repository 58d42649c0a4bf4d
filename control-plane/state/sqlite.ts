import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, type SQLOutputValue } from 'node:sqlite';
import type { CertificateEntry } from '#core/contract/certificate.ts';
import type {
  Canary,
  Config,
  CurrentRelease,
  JournalEvent,
  Network,
} from '#core/contract/event.ts';
import type { Node } from '#core/contract/node.ts';
import { type Ban, siteOfTarget } from '#core/contract/purge.ts';
import type { Site } from '#core/contract/site.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import { siteChangeOf, switchOf } from '#core/node/config.ts';
import { MemoryStandings } from './memory-standings.ts';
import { BUSY, type Parameter, type Row, resultCode, SqliteDatabase } from './sqlite-database.ts';
import { MIGRATIONS } from './sqlite-migrations.ts';
import { SqliteRecords } from './sqlite-records.ts';
import type { Standings } from './standings.ts';
import type {
  Alongside,
  JournalHead,
  NodeCredential,
  PurgeRecord,
  StateContent,
  StateStore,
  StateWatcher,
} from './store.ts';
import { readToken, type TokenRecord, writtenToken } from './token.ts';

const FILE = 'state.sqlite';

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
    return sqliteState(database);
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

/** The state in an open database, which is brought up to date. */
export function sqliteState(database: DatabaseSync): StateStore {
  prepareDatabase(database);
  return new SqliteState(new SqliteDatabase(database));
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
  readonly standings: Standings;
  readonly records: SqliteRecords;
  readonly #database: SqliteDatabase;
  #watcher: StateWatcher | undefined;

  constructor(database: SqliteDatabase) {
    this.#database = database;
    this.records = new SqliteRecords(database);
    const sql = "SELECT max(sequence) AS fence FROM purges WHERE status = 'complete'";
    this.standings = new MemoryStandings(Number(this.#database.get(sql)?.['fence'] ?? 0));
  }

  async head(): Promise<JournalHead | undefined> {
    const row = this.#database.get('SELECT journal, sequence FROM head');
    if (row === undefined) return undefined;
    return { journal: String(row['journal']), sequence: Number(row['sequence']) };
  }

  async config(): Promise<Config | undefined> {
    return this.#config();
  }

  #config(): Config | undefined {
    const head = this.#database.get('SELECT journal, sequence, network, canary FROM head');
    if (head === undefined) return undefined;
    const canary = head['canary'] ?? null;
    return {
      journal: String(head['journal']),
      sequence: Number(head['sequence']),
      network: parse(head['network']) as Network,
      sites: this.#database
        .all('SELECT site FROM sites ORDER BY name')
        .map((r) => parse(r['site']) as Site),
      nodes: this.#database
        .all('SELECT node FROM nodes ORDER BY name')
        .map((r) => parse(r['node']) as Node),
      bans: this.#database
        .all('SELECT ban FROM bans ORDER BY sequence')
        .map((r) => parse(r['ban']) as Ban),
      ...this.#releases(),
      certificates: this.#database
        .all('SELECT certificate FROM certificates ORDER BY name')
        .map((r) => parse(r['certificate']) as CertificateEntry),
      ...(canary !== null && { canary: parse(canary) as Canary }),
    };
  }

  #releases(): Pick<Config, 'releases'> {
    const rows = this.#database.all('SELECT site, release FROM releases ORDER BY site');
    if (rows.length === 0) return {};
    const entries = rows.map((row) => [row['site'], parse(row['release']) as CurrentRelease]);
    return { releases: Object.fromEntries(entries) as Record<string, CurrentRelease> };
  }

  async events(after: number, limit: number): Promise<readonly JournalEvent[] | undefined> {
    const sql = 'SELECT event FROM journal WHERE sequence > ? ORDER BY sequence LIMIT ?';
    const events = this.#database
      .all(sql, after, limit)
      .map((r) => parse(r['event']) as JournalEvent);
    const first = events[0]?.sequence ?? this.#sequence() + 1;
    return first > after + 1 ? undefined : events;
  }

  async append(events: readonly JournalEvent[], alongside: Alongside = {}): Promise<boolean> {
    return this.#database.transaction(() => {
      const first = events[0];
      if (first === undefined || first.sequence !== this.#sequence() + 1) return false;
      for (const event of events) this.#write(event);
      const { credential, purge, records = [] } = alongside;
      if (credential !== undefined) this.#insertCredential(credential);
      if (purge !== undefined) this.#insertPurge(purge);
      for (const draft of records) this.records.putNow(draft);
      return true;
    });
  }

  async renewJournal(before: string, { journal, sequence }: JournalHead): Promise<void> {
    this.#database.transaction(() => {
      const sql = 'UPDATE head SET journal = ?, sequence = ? WHERE journal = ?';
      if (this.#database.run(sql, journal, sequence, before) > 0)
        this.#database.run('DELETE FROM journal');
    });
  }

  async trimJournal(keep: number): Promise<void> {
    this.#database.transaction(() => {
      const last = this.#sequence() - keep;
      this.#database.run('DELETE FROM journal WHERE sequence <= ?', last);
      // The latest stays: it tells which fence a node must have reached.
      this.#database.run(
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
    return this.#database.all('SELECT token, digest FROM tokens ORDER BY name').map(toToken);
  }

  async addToken(token: TokenRecord): Promise<boolean> {
    return this.#database.run(`${ADD_TOKEN} ON CONFLICT (name) DO NOTHING`, ...rowOf(token)) > 0;
  }

  async replaceToken(token: TokenRecord, ifDigest: Uint8Array): Promise<boolean> {
    const sql = `UPDATE tokens SET digest = ?2, previous = ?3, token = ?4
      WHERE name = ?1 AND digest = ?5`;
    return this.#database.run(sql, ...rowOf(token), ifDigest) > 0;
  }

  async deleteToken(name: string, ifDigest?: Uint8Array): Promise<boolean> {
    const sql = 'DELETE FROM tokens WHERE name = ?1 AND (?2 IS NULL OR digest = ?2)';
    return this.#database.run(sql, name, ifDigest ?? null) > 0;
  }

  async tokenByDigest(digest: Uint8Array): Promise<TokenRecord | undefined> {
    const sql = 'SELECT token, digest FROM tokens WHERE digest = ?1 OR previous = ?1';
    const row = this.#database.get(sql, digest);
    return row === undefined ? undefined : toToken(row);
  }

  async credentialByDigest(digest: Uint8Array): Promise<NodeCredential | undefined> {
    const row = this.#database.get('SELECT node, digest FROM credentials WHERE digest = ?', digest);
    if (row === undefined) return undefined;
    return toCredential(row);
  }

  async purge(id: string): Promise<PurgeRecord | undefined> {
    const row = this.#database.get('SELECT purge FROM purges WHERE id = ?', id);
    return row === undefined ? undefined : toPurge(row);
  }

  async purgeByKey(key: string): Promise<PurgeRecord | undefined> {
    const row = this.#database.get('SELECT purge FROM purges WHERE key = ?', key);
    return row === undefined ? undefined : toPurge(row);
  }

  async purges(limit: number, before = Number.MAX_SAFE_INTEGER): Promise<readonly PurgeRecord[]> {
    const sql = 'SELECT purge FROM purges WHERE sequence < ? ORDER BY sequence DESC LIMIT ?';
    return this.#database.all(sql, before, limit).map(toPurge);
  }

  async pendingPurges(): Promise<readonly PurgeRecord[]> {
    const sql = "SELECT purge FROM purges WHERE status = 'pending' ORDER BY sequence";
    return this.#database.all(sql).map(toPurge);
  }

  async updatePurge(purge: PurgeRecord): Promise<void> {
    const sql = 'UPDATE purges SET status = ?, purge = ? WHERE id = ?';
    // A power cut may take it: the purge is then settled once more, see `Purges`.
    this.#database.runUnsynced(sql, purge.status, JSON.stringify(purge), purge.id);
  }

  async content(): Promise<StateContent | undefined> {
    // Read without a pause, in which something could be written.
    const config = this.#config();
    if (config === undefined) return undefined;
    return {
      config,
      tokens: this.#tokens(),
      credentials: this.#database
        .all('SELECT node, digest FROM credentials ORDER BY node')
        .map(toCredential),
      purges: this.#database.all('SELECT purge FROM purges ORDER BY sequence').map(toPurge),
      records: this.records.all(),
    };
  }

  async replace({ config, credentials, tokens, purges, records }: StateContent): Promise<void> {
    this.#database.transaction(() => {
      for (const table of TABLES) this.#database.run(`DELETE FROM ${table}`);
      const { journal, sequence, network, sites, nodes, bans, certificates, canary } = config;
      const { releases = {} } = config;
      this.#database.run(
        'INSERT INTO head (only, sequence, network, journal, canary) VALUES (1, ?, ?, ?, ?)',
        sequence,
        JSON.stringify(network),
        journal,
        canary === undefined ? null : JSON.stringify(canary),
      );
      for (const site of sites) this.#database.run(PUT_SITE, site.name, JSON.stringify(site));
      for (const node of nodes) this.#database.run(PUT_NODE, node.name, JSON.stringify(node));
      for (const ban of bans) this.#insertBan(ban);
      for (const [site, release] of Object.entries(releases)) {
        this.#database.run(PUT_RELEASE, site, JSON.stringify(release));
      }
      for (const one of certificates) {
        this.#database.run(PUT_CERTIFICATE, one.name, JSON.stringify(one));
      }
      for (const credential of credentials) this.#insertCredential(credential);
      for (const token of tokens) this.#database.run(ADD_TOKEN, ...rowOf(token));
      for (const purge of purges) this.#insertPurge(purge);
      this.records.replace(records);
    });
  }

  /** Nobody else can change a state that is held exclusively, or tell anything. */
  watch(watcher: StateWatcher): void {
    this.#watcher = watcher;
  }

  async tell(message: string): Promise<void> {
    this.#watcher?.told(message);
  }

  async close(): Promise<void> {
    this.#database.close();
  }

  #sequence(): number {
    return Number(this.#database.get('SELECT sequence FROM head')?.['sequence'] ?? 0);
  }

  #write(event: JournalEvent): void {
    this.#database.run('INSERT INTO journal VALUES (?, ?)', event.sequence, JSON.stringify(event));
    const change = siteChangeOf(event);
    for (const site of change?.put ?? []) {
      this.#database.run(PUT_SITE, site.name, JSON.stringify(site));
    }
    for (const name of change?.delete ?? []) {
      this.#database.run('DELETE FROM sites WHERE name = ?', name);
      this.#database.run('DELETE FROM bans WHERE site = ?', name);
      this.#database.run('DELETE FROM releases WHERE site = ?', name);
    }
    const [switched, release] = switchOf(event) ?? [];
    if (switched !== undefined) {
      this.#database.run(PUT_RELEASE, switched, JSON.stringify(release));
    }
    switch (event.type) {
      case 'canary.begin':
        this.#database.run('UPDATE head SET canary = ?', JSON.stringify(event.canary));
        break;
      case 'canary.end':
        this.#database.run('UPDATE head SET canary = NULL');
        break;
      case 'node.put':
        this.#database.run(PUT_NODE, event.node.name, JSON.stringify(event.node));
        break;
      case 'node.delete':
        this.#database.run('DELETE FROM nodes WHERE name = ?', event.name);
        break;
      case 'certificate.put': {
        const { certificate } = event;
        this.#database.run(PUT_CERTIFICATE, certificate.name, JSON.stringify(certificate));
        break;
      }
      case 'certificate.delete':
        this.#database.run('DELETE FROM certificates WHERE name = ?', event.name);
        break;
      case 'network.put':
        this.#database.run(
          PUT_NETWORK,
          event.sequence,
          JSON.stringify(event.network),
          randomUUID(),
        );
        break;
      case 'purge': {
        const { id, mode, target } = event.purge;
        if (mode === 'ban') this.#insertBan({ id, sequence: event.sequence, target });
        break;
      }
      case 'ban.lift':
        this.#database.run('DELETE FROM bans WHERE id = ?', event.id);
        break;
      default:
        break;
    }
    this.#database.run('UPDATE head SET sequence = ?', event.sequence);
  }

  #insertCredential({ node, digest }: NodeCredential): void {
    this.#database.run(
      'INSERT OR REPLACE INTO credentials (node, digest) VALUES (?, ?)',
      node,
      digest,
    );
  }

  #insertPurge(purge: PurgeRecord): void {
    this.#database.run(
      'INSERT INTO purges (id, sequence, status, purge, key) VALUES (?, ?, ?, ?, ?)',
      purge.id,
      Math.max(...purge.sequences),
      purge.status,
      JSON.stringify(purge),
      purge.request?.key ?? null,
    );
  }

  #insertBan(ban: Ban): void {
    this.#database.run(
      'INSERT INTO bans (sequence, id, site, ban) VALUES (?, ?, ?, ?)',
      ban.sequence,
      ban.id,
      siteOfTarget(ban.target) ?? null,
      JSON.stringify(ban),
    );
  }
}

const TABLES = [
  'journal',
  'head',
  'credentials',
  'nodes',
  'sites',
  'tokens',
  'purges',
  'bans',
  'releases',
  'certificates',
] as const;

const PUT_CERTIFICATE = 'INSERT OR REPLACE INTO certificates VALUES (?, ?)';
const PUT_SITE = 'INSERT OR REPLACE INTO sites VALUES (?, ?)';
const PUT_RELEASE = 'INSERT OR REPLACE INTO releases VALUES (?, ?)';
// Not OR REPLACE: that deletes the row first, and with it the node's credential.
const PUT_NODE =
  'INSERT INTO nodes VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET node = excluded.node';
/** The journal is named when it is begun. */
const PUT_NETWORK = `INSERT INTO head (only, sequence, network, journal) VALUES (1, ?, ?, ?)
  ON CONFLICT (only) DO UPDATE SET sequence = excluded.sequence, network = excluded.network`;

// The store wrote these values itself, checked: they are not checked again.
const parse = (text: SQLOutputValue | undefined): unknown => JSON.parse(String(text));

const toPurge = (row: Row): PurgeRecord => parse(row['purge']) as PurgeRecord;

const toCredential = (row: Row): NodeCredential => ({
  node: String(row['node']),
  digest: row['digest'] as Uint8Array,
});

const toToken = (row: Row): TokenRecord =>
  readToken(String(row['token']), row['digest'] as Uint8Array);

const ADD_TOKEN = 'INSERT INTO tokens (name, digest, previous, token) VALUES (?, ?, ?, ?)';

const rowOf = (token: TokenRecord): readonly Parameter[] => [
  token.name,
  token.digest,
  token.previous?.digest ?? null,
  JSON.stringify(writtenToken(token)),
];
