import { afterAll, beforeAll, describe } from 'vitest';
import { openRedisState } from '#control-plane/state/redis.ts';
import { silent } from '#test/control-plane/kit.ts';
import { RedisServer } from '#test/redis.ts';
import { stateStoreContract } from './state-store.ts';

describe('Redis', () => {
  let server: RedisServer;
  beforeAll(async () => void (server = await RedisServer.start()));
  afterAll(() => server.end());
  stateStoreContract(
    () => openRedisState(server.url, silent),
    async () => void (await server.command('FLUSHALL')),
  );
});
