import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { CertificateEntry } from '#core/contract/certificate.ts';
import type {
  Canary,
  Config,
  CurrentRelease,
  JournalEvent,
  Network,
} from '#core/contract/event.ts';
import type { Node } from '#core/contract/node.ts';
import type { Ban } from '#core/contract/purge.ts';
import type { Site } from '#core/contract/site.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import { bansAfter } from '#core/node/config.ts';
import {
  banCommands,
  type Command,
  commandsOf,
  concernsBans,
  credentialCommands,
  packed,
  purgeCommands,
  put,
  putBan,
  putRelease,
  putCertificate,
  recordCommands,
  sequenceOf,
  tokenCommands,
  VERSION,
} from './redis-commands.ts';
import { RedisConnection } from './redis-connection.ts';
import { RedisRecords, toRecord } from './redis-records.ts';
import {
  ADD_TOKEN,
  APPEND,
  DELETE_TOKEN,
  KEY_NAMES,
  type KeyName,
  keyOf,
  RENEW,
  REPLACE_TOKEN,
  TOKEN_BY_PREVIOUS,
  TRIM,
  UPDATE_PURGE,
} from './redis-scripts.ts';
import { RedisStandings } from './redis-standings.ts';
import type {
  Alongside,
  JournalHead,
  NodeCredential,
  PurgeRecord,
  StateContent,
  StateStore,
  StateWatcher,
} from './store.ts';
import { hexOf, readToken, type TokenRecord, writtenToken } from './token.ts';

/** 1 had no bans and no keys of requests, 2 no releases, 3 no certificates; all else is as it is now. */
const VERSIONS_BEFORE: ReadonlySet<string | null> = new Set(['1', '2', '3']);

/** How long an append whose answer was lost is tried again: a Redis that restarts is back by then. */
const APPEND_ATTEMPTS = 50;
const APPEND_PAUSE_MS = 100;

/**
 * Opens the state in the Redis at `url`, which several control planes may share.
 * @throws CanopyError `invalid-input` if the URL is none, `unavailable` if Redis cannot be reached or refuses
 * the user, `internal-error` if it holds something else
 */
export async function openRedisState(url: string, log: Logger): Promise<StateStore> {
  const redis = await RedisConnection.open(url, log);
  try {
    const version = await redis.send((client) => client.hget(keyOf('head'), 'version'));
    if (VERSIONS_BEFORE.has(version)) {
      await redis.send((client) => client.hset(keyOf('head'), 'version', VERSION));
    } else if (version !== null && version !== VERSION) {
      throw new CanopyError(
        'internal-error',
        `The state in ${redis.name} has version ${version}, this Canopy knows ${VERSION}`,
      );
    }
    const state = new RedisState(redis);
    // What cannot be read is better known now.
    await state.content();
    return state;
  } catch (error) {
    redis.close();
    throw error;
  }
}

class RedisState implements StateStore {
  readonly standings: RedisStandings;
  readonly records: RedisRecords;
  readonly #redis: RedisConnection;

  constructor(redis: RedisConnection) {
    this.#redis = redis;
    this.standings = new RedisStandings(redis);
    this.records = new RedisRecords(redis);
  }

  async head(): Promise<JournalHead | undefined> {
    const [journal, sequence] = await this.#redis.send((client) =>
      client.hmget(keyOf('head'), 'journal', 'sequence'),
    );
    if (typeof journal !== 'string') return undefined;
    return { journal, sequence: Number(sequence) };
  }

  async config(): Promise<Config | undefined> {
    const hashes = await this.#redis.transaction(CONFIG_KEYS.map(getAll));
    return toConfig(hashes as Hash[]);
  }

  async events(after: number, limit: number): Promise<readonly JournalEvent[] | undefined> {
    const [sequence, entries] = (await this.#redis.transaction([
      ['hget', keyOf('head'), 'sequence'],
      ['xrange', keyOf('journal'), `${after + 1}-0`, '+', 'COUNT', limit],
    ])) as [string | null, readonly Entry[]];
    const events = entries.map(([, fields]) => parse(fields[3] ?? '') as JournalEvent);
    const first = events[0]?.sequence ?? Number(sequence ?? 0) + 1;
    return first > after + 1 ? undefined : events;
  }

  async append(events: readonly JournalEvent[], alongside: Alongside = {}): Promise<boolean> {
    const [first] = events;
    if (first === undefined) return false;
    // Tells this append, made again because its answer was lost, from one of another control plane.
    const by = randomUUID();
    const { credential, purge, records = [] } = alongside;
    for (let attempt = 1; ; attempt++) {
      try {
        const commands = [
          ...events.flatMap((event) => commandsOf(event, by)),
          ...(await this.#credentialCommands(events, credential)),
          ...(await this.#banCommands(events)),
          ...(purge === undefined ? [] : purgeCommands(purge)),
          ...records.flatMap((draft) => recordCommands(draft, 1)),
        ];
        const { id = '', request: { key } = { key: '' } } = purge ?? {};
        const guard = [first.sequence, first.sequence - 1, by, id, key];
        return (await this.#redis.run(APPEND, ...guard, ...commands.flatMap(packed))) === 1;
      } catch (error) {
        const isLost = error instanceof CanopyError && error.code === 'unavailable';
        if (!isLost || attempt === APPEND_ATTEMPTS || this.#redis.closed) throw error;
        await delay(APPEND_PAUSE_MS);
      }
    }
  }

  async renewJournal(before: string, { journal, sequence }: JournalHead): Promise<void> {
    await this.#redis.run(RENEW, before, journal, sequence);
  }

  async trimJournal(keep: number): Promise<void> {
    const last = ((await this.head())?.sequence ?? 0) - keep;
    if (last > 0) await this.#redis.run(TRIM, last, last + 1);
  }

  async tokens(): Promise<readonly TokenRecord[]> {
    return toTokens(await this.#redis.send((client) => client.hgetall(keyOf('tokens'))));
  }

  async addToken(token: TokenRecord): Promise<boolean> {
    const text = JSON.stringify(writtenToken(token));
    return (await this.#redis.run(ADD_TOKEN, token.name, hexOf(token.digest), text)) === 1;
  }

  async replaceToken(token: TokenRecord, ifDigest: Uint8Array): Promise<boolean> {
    const { name, digest, previous } = token;
    const replaced = await this.#redis.run(
      REPLACE_TOKEN,
      name,
      hexOf(ifDigest),
      hexOf(digest),
      JSON.stringify(writtenToken(token)),
      previous === null ? '' : hexOf(previous.digest),
    );
    return replaced === 1;
  }

  async deleteToken(name: string, ifDigest?: Uint8Array): Promise<boolean> {
    const digest = ifDigest === undefined ? '' : hexOf(ifDigest);
    return (await this.#redis.run(DELETE_TOKEN, name, digest)) === 1;
  }

  async tokenByDigest(digest: Uint8Array): Promise<TokenRecord | undefined> {
    const key = hexOf(digest);
    const text =
      (await this.#redis.send((client) => client.hget(keyOf('tokens'), key))) ??
      (await this.#redis.run(TOKEN_BY_PREVIOUS, key));
    return typeof text === 'string' ? readToken(text, digest) : undefined;
  }

  async credentialByDigest(digest: Uint8Array): Promise<NodeCredential | undefined> {
    const node = await this.#redis.send((client) =>
      client.hget(keyOf('credentials'), hexOf(digest)),
    );
    return node === null ? undefined : { node, digest };
  }

  async purge(id: string): Promise<PurgeRecord | undefined> {
    const text = await this.#redis.send((client) => client.hget(keyOf('purges'), id));
    return text === null ? undefined : (parse(text) as PurgeRecord);
  }

  async purgeByKey(key: string): Promise<PurgeRecord | undefined> {
    const id = await this.#redis.send((client) => client.hget(keyOf('requests'), key));
    return id === null ? undefined : this.purge(id);
  }

  async purges(limit: number, before?: number): Promise<readonly PurgeRecord[]> {
    const from = before === undefined ? '+inf' : `(${before}`;
    return this.#purges(
      await this.#redis.send((client) =>
        client.zrevrangebyscore(keyOf('purge_order'), from, '-inf', 'LIMIT', 0, limit),
      ),
    );
  }

  async pendingPurges(): Promise<readonly PurgeRecord[]> {
    return this.#purges(
      await this.#redis.send((client) => client.zrange(keyOf('pending'), 0, '-1')),
    );
  }

  async updatePurge(purge: PurgeRecord): Promise<void> {
    const { id, status } = purge;
    await this.#redis.run(UPDATE_PURGE, id, sequenceOf(purge), status, JSON.stringify(purge));
  }

  async content(): Promise<StateContent | undefined> {
    const [credentials = {}, tokens = {}, purges = {}, records = {}, revisions = {}, ...hashes] =
      (await this.#redis.transaction(
        (['credentials', 'tokens', 'purges', 'records', 'revisions', ...CONFIG_KEYS] as const).map(
          getAll,
        ),
      )) as Hash[];
    const config = toConfig(hashes);
    if (config === undefined) return undefined;
    return {
      config,
      credentials: Object.entries(credentials)
        .map(([digest, node]) => ({ node, digest: bytes(digest) }))
        .toSorted((a, b) => (a.node < b.node ? -1 : 1)),
      tokens: toTokens(tokens),
      purges: Object.values(purges)
        .map((text) => parse(text) as PurgeRecord)
        .toSorted((a, b) => sequenceOf(a) - sequenceOf(b)),
      records: Object.keys(records)
        .toSorted()
        .map((field) => toRecord(field, records[field] ?? '', revisions[field] ?? '1')),
    };
  }

  async replace({ config, credentials, tokens, purges, records }: StateContent): Promise<void> {
    const { journal, sequence, network, sites, nodes, bans, certificates, canary } = config;
    const { releases = {} } = config;
    const commands: Command[] = [
      ...KEY_NAMES.filter((name) => !KEPT.has(name)).map((name): Command => ['DEL', name]),
      ['HDEL', 'head', 'completed', 'canary'],
      put('head', 'version', VERSION),
      put('head', 'journal', journal),
      put('head', 'sequence', sequence),
      put('head', 'network', JSON.stringify(network)),
      ...(canary === undefined ? [] : [put('head', 'canary', JSON.stringify(canary))]),
      ...sites.map((site) => put('sites', site.name, JSON.stringify(site))),
      ...nodes.map((node) => put('nodes', node.name, JSON.stringify(node))),
      ...bans.map(putBan),
      ...Object.entries(releases).map((one) => putRelease(...one)),
      ...certificates.map(putCertificate),
      ...credentials.flatMap(credentialCommands),
      ...tokens.flatMap(tokenCommands),
      ...purges.flatMap(purgeCommands),
      ...records.flatMap((record) => recordCommands(record, record.revision)),
      ['XADD', 'news', '*', 'of', 'state'],
    ];
    await this.#redis.transaction(
      commands.map(([command, key, ...rest]) => [command.toLowerCase(), keyOf(key), ...rest]),
    );
  }

  watch(watcher: StateWatcher): void {
    this.#redis.watch(keyOf('news'), watcher);
  }

  tell(message: string): Promise<void> {
    return this.#redis.tell(message);
  }

  async close(): Promise<void> {
    this.#redis.close();
  }

  /** What `events` do to the credentials of the nodes they name. Nobody changes them without an event in between. */
  async #credentialCommands(
    events: readonly JournalEvent[],
    credential: NodeCredential | undefined,
  ): Promise<readonly Command[]> {
    const nodes = events.flatMap((event) => (event.type === 'node.delete' ? [event.name] : []));
    if (credential !== undefined) nodes.push(credential.node);
    if (nodes.length === 0) return [];
    const digests = await this.#redis.send((c) => c.hmget(keyOf('credential_of'), ...nodes));
    return [
      ...digests.flatMap((digest): Command[] =>
        digest === null ? [] : [['HDEL', 'credentials', digest]],
      ),
      ...nodes.map((node): Command => ['HDEL', 'credential_of', node]),
      ...(credential === undefined ? [] : credentialCommands(credential)),
    ];
  }

  /** What `events` do to the bans. Nobody changes these without an event in between. */
  async #banCommands(events: readonly JournalEvent[]): Promise<readonly Command[]> {
    if (!events.some(concernsBans)) return [];
    const before = toBans(await this.#redis.send((client) => client.hgetall(keyOf('bans'))));
    return banCommands(before, events.reduce(bansAfter, before));
  }

  async #purges(ids: readonly string[]): Promise<readonly PurgeRecord[]> {
    if (ids.length === 0) return [];
    const texts = await this.#redis.send((client) => client.hmget(keyOf('purges'), ...ids));
    // One may have been trimmed away since.
    return texts.flatMap((text) => (text === null ? [] : [parse(text) as PurgeRecord]));
  }
}

type Hash = Readonly<Record<string, string>>;
type Entry = readonly [id: string, fields: readonly string[]];

/** Not part of a state's content: leases that may still hold, and how many there were; `head` is overwritten. */
const KEPT: ReadonlySet<KeyName> = new Set(['head', 'grants', 'tiers', 'news']);

/** What makes up the configuration, see `toConfig`. */
const CONFIG_KEYS = ['head', 'sites', 'nodes', 'bans', 'releases', 'certificates'] as const;

const getAll = (name: KeyName): [string, string] => ['hgetall', keyOf(name)];

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));

/** @param hashes of `CONFIG_KEYS` */
function toConfig([
  head = {},
  sites = {},
  nodes = {},
  bans = {},
  releases = {},
  certificates = {},
]: readonly Hash[]): Config | undefined {
  const { journal, sequence, network, canary } = head;
  if (journal === undefined || network === undefined) return undefined;
  const byName = (hash: Hash): unknown[] =>
    Object.keys(hash)
      .toSorted()
      .map((name) => parse(hash[name] ?? ''));
  return {
    journal,
    sequence: Number(sequence),
    network: parse(network) as Network,
    sites: byName(sites) as Site[],
    nodes: byName(nodes) as Node[],
    bans: toBans(bans),
    ...toReleases(releases),
    certificates: byName(certificates) as CertificateEntry[],
    ...(canary !== undefined && { canary: parse(canary) as Canary }),
  };
}

const toBans = (bans: Hash): Ban[] =>
  Object.values(bans)
    .map((text) => parse(text) as Ban)
    .toSorted((a, b) => a.sequence - b.sequence);

const toReleases = (releases: Hash): Pick<Config, 'releases'> =>
  Object.keys(releases).length === 0
    ? {}
    : {
        releases: Object.fromEntries(
          Object.entries(releases).map(([site, text]) => [site, parse(text) as CurrentRelease]),
        ),
      };

const toTokens = (tokens: Hash): TokenRecord[] =>
  Object.entries(tokens)
    .map(([digest, text]) => readToken(text, bytes(digest)))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));

/** @throws CanopyError `internal-error` if somebody else wrote there */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const message = `Redis holds what Canopy did not write: ${messageOf(cause)}`;
    throw new CanopyError('internal-error', message, { cause });
  }
}
