import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { openRedisState } from '#control-plane/state/redis.ts';
import { parseRedisUrl } from '#core/redis-client.ts';
import type { JournalEvent } from '#core/contract/event.ts';
import { eventually, silent } from '#test/control-plane/kit.ts';
import { freePort, RedisServer } from '#test/redis.ts';
import { stateStoreContract } from './state-store.ts';

const begin: JournalEvent = {
  sequence: 1,
  at: 0,
  type: 'network.put',
  network: { tierKey: 'tier-key-of-the-network' },
};

let server: RedisServer;
beforeAll(async () => void (server = await RedisServer.start()));
afterAll(() => server.end());
const flush = async (): Promise<void> => void (await server.command('FLUSHALL'));

describe('Redis', () => {
  stateStoreContract(() => openRedisState(server.url, silent), flush);
});

describe('Redis by a sentinel', () => {
  let sentinel: RedisServer;
  beforeAll(async () => void (sentinel = await RedisServer.startSentinel('main', server)));
  afterAll(() => sentinel.end());
  stateStoreContract(
    () => openRedisState(`redis+sentinel://127.0.0.1:${sentinel.port}/main`, silent),
    flush,
  );
});

describe('Redis cluster', () => {
  let cluster: RedisServer;
  beforeAll(async () => {
    cluster = await RedisServer.start(
      '--cluster-enabled',
      'yes',
      '--cluster-announce-ip',
      '127.0.0.1',
    );
    await cluster.command('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
    await eventually(async () =>
      expect(await cluster.command('CLUSTER', 'INFO')).toContain('cluster_state:ok'),
    );
  });
  afterAll(() => cluster.end());
  stateStoreContract(
    () => openRedisState(`redis+cluster://127.0.0.1:${cluster.port}`, silent),
    async () => void (await cluster.command('FLUSHALL')),
  );
});

const refusal = async (url: string) =>
  openRedisState(url, silent).then(
    (store) => store.close(),
    (error: unknown) => error,
  );

const started = async (...options: string[]): Promise<RedisServer> => {
  const other = await RedisServer.start(...options);
  onTestFinished(() => other.end());
  return other;
};

describe('openRedisState', () => {
  test('says that nobody listens', async () => {
    const port = await freePort();
    expect(await refusal(`redis://127.0.0.1:${port}`)).toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(
        `Redis at 127.0.0.1:${port} cannot be reached: .*ECONNREFUSED`,
      ),
    });
  });

  test('says that no sentinel knows the master, or none is there', async () => {
    const port = await freePort();
    expect(await refusal(`redis+sentinel://127.0.0.1:${port}/main`)).toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(`Redis at 127.0.0.1:${port} \\(main\\) cannot be reached`),
    });
  });

  test('says that the password is wrong or missing, and not what it was', async () => {
    const locked = await started('--requirepass', 'right');
    const wrong = await refusal(locked.url.replace('//', '//:wrong-one@'));
    expect(wrong).toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/WRONGPASS/),
    });
    expect(String(wrong)).not.toContain('wrong-one');
    expect(await refusal(locked.url)).toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/NOAUTH/),
    });
    expect(await refusal(locked.url.replace('//', '//:right@'))).toBeUndefined();
  });

  test('says that the data is of somebody else, or of another version', async () => {
    await flush();
    await server.command('SET', '{canopy}:sites', 'what');
    expect(await refusal(server.url)).toMatchObject({
      code: 'internal-error',
      message: expect.stringMatching(/WRONGTYPE/),
    });
    await flush();
    await server.command('HSET', '{canopy}:head', 'version', '99');
    expect(await refusal(server.url)).toMatchObject({
      code: 'internal-error',
      message: expect.stringMatching(/version 99/),
    });
  });

  test('takes over data of the version that knew no bans', async () => {
    await flush();
    const store = await openRedisState(server.url, silent);
    await store.append([begin]);
    await store.close();
    await server.command('HSET', '{canopy}:head', 'version', '1');
    const again = await openRedisState(server.url, silent);
    onTestFinished(() => again.close());
    expect(await again.config()).toMatchObject({ sequence: 1, bans: [], certificates: [] });
    expect(await server.command('HGET', '{canopy}:head', 'version')).toBe('4');
  });

  test('writes nothing to a replica, nor to a server without room', async () => {
    const replica = await started();
    const store = await openRedisState(replica.url, silent);
    onTestFinished(() => store.close());
    const token = {
      name: 't',
      digest: Uint8Array.of(1),
      scopes: [],
      sites: null,
      createdAt: 1,
      expiresAt: null,
      previous: null,
    };
    await replica.command('REPLICAOF', '127.0.0.1', String(server.port));
    await expect(store.addToken(token)).rejects.toMatchObject({ code: 'unavailable' });
    await replica.command('REPLICAOF', 'NO', 'ONE');
    await replica.command('CONFIG', 'SET', 'maxmemory', '1');
    await eventually(() =>
      expect(store.addToken(token)).rejects.toMatchObject({ code: 'insufficient-storage' }),
    );
    await expect(store.append([begin])).rejects.toMatchObject({ code: 'insufficient-storage' });
    expect(await store.head()).toBeUndefined();
  });
});

describe('a cut connection', () => {
  beforeEach(flush);

  test('applies an append once whose answer was lost', async () => {
    const proxy = await deafProxy(server.port);
    const store = await openRedisState(`redis://127.0.0.1:${proxy.port}`, silent);
    onTestFinished(() => store.close());
    await store.append([begin]);
    proxy.loseNextAnswer();
    const event: JournalEvent = { sequence: 2, at: 0, type: 'site.delete', name: 'one' };
    expect(await store.append([event])).toBe(true);
    expect(proxy.lost).toBe(1);
    expect(await store.events(0, 9)).toEqual([begin, event]);
    expect(await store.append([event])).toBe(false);
  });

  test('fails what was under way, and works again once Redis is back', async () => {
    const other = await RedisServer.start();
    onTestFinished(() => other.end());
    const store = await openRedisState(other.url, silent);
    onTestFinished(() => store.close());
    await store.append([begin]);
    let reconnections = 0;
    store.watch({
      changed: async () => undefined,
      told: () => undefined,
      reconnected: () => void reconnections++,
    });
    await other.kill();
    await expect(store.config()).rejects.toMatchObject({ code: 'unavailable' });
    await other.start();
    await eventually(() => expect(reconnections).toBe(1));
    expect(await store.head()).toMatchObject({ sequence: 1 });
  });
});

test.for([
  ['redis://h', { kind: 'single', servers: [{ host: 'h', port: 6379 }], db: 0 }],
  ['redis://h:1/3', { servers: [{ host: 'h', port: 1 }], db: 3 }],
  [
    'rediss://u:p%40@[::1]:1',
    { servers: [{ host: '::1', port: 1 }], tls: true, username: 'u', password: 'p@' },
  ],
  ['redis://:p@h', { username: undefined, password: 'p' }],
  [
    'redis+sentinel://a,b:2/main/1',
    {
      kind: 'sentinel',
      servers: [
        { host: 'a', port: 26_379 },
        { host: 'b', port: 2 },
      ],
      master: 'main',
      db: 1,
    },
  ],
  [
    'redis+cluster://a:1,b:2',
    {
      kind: 'cluster',
      servers: [
        { host: 'a', port: 1 },
        { host: 'b', port: 2 },
      ],
    },
  ],
  ['http://h', undefined],
  ['redis://', undefined],
  ['redis://a,b', undefined],
  ['redis://h:99999', undefined],
  ['redis://h/db', undefined],
  ['redis://h/1/2', undefined],
  ['redis://secret@h', undefined],
  ['redis://:100%@h', undefined],
  ['redis+sentinel://a', undefined],
  ['redis+cluster://a/1', undefined],
] as const)('the Redis URL %s', ([url, expected]) => {
  expect([parseRedisUrl(url)]).toMatchObject([expected]);
});

/** Passes on all that is said to Redis, but can lose an answer, and the connection with it. */
async function deafProxy(to: number) {
  let losing = false;
  let lost = 0;
  const sockets = new Set<Socket>();
  const proxy = createServer((client) => {
    const redis = connect(to, '127.0.0.1');
    for (const socket of [client, redis]) sockets.add(socket.on('error', () => undefined));
    let asked = '';
    client.on('data', (chunk) => {
      asked = chunk.toString('latin1');
      redis.write(chunk);
    });
    redis.on('data', (chunk) => {
      if (!losing || !asked.includes('XADD')) return void client.write(chunk);
      losing = false;
      lost += 1;
      client.destroy();
    });
    client.on('close', () => redis.destroy());
    redis.on('close', () => client.destroy());
  }).listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    proxy.close();
  });
  return {
    port: (proxy.address() as AddressInfo).port,
    loseNextAnswer: () => void (losing = true),
    get lost() {
      return lost;
    },
  };
}
