import type { Logger } from 'pino';
import { openRedisState } from './redis.ts';
import { openSqliteState } from './sqlite.ts';
import type { StateStore } from './store.ts';

/** Where a state is kept. */
export interface StatePlace {
  /** Without `redisUrl`; made if missing, held by one control plane at a time. */
  readonly dir: string;
  /** A Redis, which several control planes can share. */
  readonly redisUrl?: string;
}

/** @throws CanopyError as `openSqliteState` and `openRedisState` */
export const openState = async ({ dir, redisUrl }: StatePlace, log: Logger): Promise<StateStore> =>
  redisUrl === undefined ? openSqliteState(dir) : openRedisState(redisUrl, log);
