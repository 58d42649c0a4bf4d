import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { CanopyError, type ErrorCode, messageOf } from '#core/errors.ts';

export type RedisClient = Redis | Cluster;

interface Server {
  readonly host: string;
  readonly port: number;
}

/** Where Redis is, and how it is to be asked. */
export interface RedisAddress {
  readonly kind: 'single' | 'sentinel' | 'cluster';
  readonly servers: readonly [Server, ...Server[]];
  /** Name of the master that sentinels know; empty for the other kinds. */
  readonly master: string;
  readonly tls: boolean;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly db: number;
}

const KINDS = {
  redis: ['single', false, 6379],
  rediss: ['single', true, 6379],
  'redis+sentinel': ['sentinel', false, 26_379],
  'rediss+sentinel': ['sentinel', true, 26_379],
  'redis+cluster': ['cluster', false, 6379],
  'rediss+cluster': ['cluster', true, 6379],
} as const satisfies Record<string, readonly [RedisAddress['kind'], boolean, number]>;

/** What is expected of a Redis URL. */
export const REDIS_URL_FORMS =
  'redis://[USER:PASSWORD@]HOST[:PORT][/DB], redis+sentinel://HOST,HOST/MASTER[/DB] or redis+cluster://HOST,HOST (rediss… with TLS)';

const SHAPE = /^([a-z+]+):\/\/(?:([^@/]*)@)?([^/@?#]+)((?:\/[^/?#]*){0,2})$/;
const SERVER = /^(\[[0-9a-f:.]+\]|[^\s:[\]]+)(?::(\d{1,5}))?$/i;

/** @returns `undefined` if it is none of `REDIS_URL_FORMS` */
export function parseRedisUrl(text: string): RedisAddress | undefined {
  const [, scheme = '', user, hosts = '', path = ''] = SHAPE.exec(text) ?? [];
  if (!Object.hasOwn(KINDS, scheme) || /%(?![0-9a-f]{2})/i.test(text)) return undefined;
  const [kind, tls, defaultPort] = KINDS[scheme as keyof typeof KINDS];
  const [first, ...others] = hosts.split(',').map((host) => readServer(host, defaultPort));
  if (first === undefined || others.includes(undefined)) return undefined;
  if (kind === 'single' && others.length > 0) return undefined;

  const parts = path.split('/').slice(1);
  const master = kind === 'sentinel' ? decodeURIComponent(parts.shift() ?? '') : '';
  const [db = ''] = parts;
  const hasDb = db !== '' && kind !== 'cluster';
  if ((kind === 'sentinel') !== (master !== '') || parts.length > 1) return undefined;
  if (db !== '' && !(hasDb && /^\d{1,4}$/.test(db))) return undefined;

  const colon = user?.indexOf(':') ?? -1;
  const [username, password] =
    user === undefined || colon === -1 ? ['', ''] : [user.slice(0, colon), user.slice(colon + 1)];
  if (user !== undefined && password === '') return undefined;
  return {
    kind,
    servers: [first, ...others.filter((server) => server !== undefined)],
    master,
    tls,
    username: username === '' ? undefined : decodeURIComponent(username),
    password: password === '' ? undefined : decodeURIComponent(password),
    db: hasDb ? Number(db) : 0,
  };
}

function readServer(text: string, defaultPort: number): Server | undefined {
  const [, host, port = String(defaultPort)] = SERVER.exec(text) ?? [];
  if (host === undefined || Number(port) > 65_535) return undefined;
  return { host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port) };
}

/** How errors name the server: without its password. */
export const nameOf = ({ servers, master }: RedisAddress): string =>
  `Redis at ${servers.map(({ host, port }) => `${host}:${port}`).join(',')}${master && ` (${master})`}`;

const CONNECT_TIMEOUT_MS = 2_000;

/** Beyond this Redis counts as unreachable; a command may still be carried out. */
export const COMMAND_TIMEOUT_MS = 5_000;

const LONGEST_RETRY_MS = 1_000;
const retryStrategy = (times: number): number => Math.min(50 * times, LONGEST_RETRY_MS);

/**
 * A client that is not connected yet. While the connection is lost its commands fail at once, and
 * none is sent a second time: whoever sent it knows whether it may be.
 */
export function createClient(address: RedisAddress): RedisClient {
  const { kind, servers, master, tls, username, password, db } = address;
  const options = {
    db,
    lazyConnect: true,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    connectTimeout: CONNECT_TIMEOUT_MS,
    commandTimeout: COMMAND_TIMEOUT_MS,
    socketTimeout: COMMAND_TIMEOUT_MS,
    retryStrategy,
    // A master that has become a replica: the new one has to be found.
    reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(tls && { tls: {} }),
  } satisfies RedisOptions;
  if (kind === 'single') return new Redis({ ...options, ...servers[0] });
  if (kind === 'sentinel') {
    return new Redis({
      ...options,
      sentinels: [...servers],
      name: master,
      failoverDetector: true,
      sentinelRetryStrategy: retryStrategy,
      ...(tls && { enableTLSForSentinelMode: true, sentinelTLS: {} }),
    });
  }
  return new Cluster([...servers], {
    lazyConnect: true,
    enableOfflineQueue: false,
    clusterRetryStrategy: retryStrategy,
    redisOptions: options,
  });
}

/** What a refusal of the server means, by the word it begins with. */
const REFUSALS: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  OOM: ['insufficient-storage', 'has no memory left'],
  MISCONF: ['insufficient-storage', 'cannot save to its disk'],
  NOAUTH: ['unavailable', 'wants a user and password'],
  WRONGPASS: ['unavailable', 'refuses the user or password'],
  NOPERM: ['unavailable', 'does not let this user do it'],
  READONLY: ['unavailable', 'is a replica, which cannot be written to'],
  MASTERDOWN: ['unavailable', 'is a replica that has lost its master'],
  NOREPLICAS: ['unavailable', 'has too few replicas to write'],
  LOADING: ['unavailable', 'is still loading'],
  CLUSTERDOWN: ['unavailable', 'is a cluster that is down'],
  TRYAGAIN: ['unavailable', 'is moving its slots'],
  BUSY: ['unavailable', 'is busy with a script'],
  WRONGTYPE: ['internal-error', 'holds other data under these names'],
};

/** What went wrong, as a CanopyError that names the server. */
export function translated(address: RedisAddress, cause: unknown): CanopyError {
  if (cause instanceof CanopyError) return cause;
  const message = messageOf(cause);
  const word = /^(?:ERR )?([A-Z]+)\b/.exec(message)?.[1] ?? '';
  const isReply = cause instanceof Error && cause.name === 'ReplyError';
  const [code, what] =
    REFUSALS[word] ?? (isReply ? (['internal-error', 'refuses a command'] as const) : UNREACHABLE);
  return new CanopyError(code, `${nameOf(address)} ${what}: ${message}`, { cause });
}

const UNREACHABLE = ['unavailable', 'cannot be reached'] as const;
