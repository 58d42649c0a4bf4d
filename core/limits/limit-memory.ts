import { marksMemory } from './marks.ts';
import type { TableMemory } from './shared-table.ts';
import { windowsMemory } from './sliding-windows.ts';
import { underWayMemory } from './under-way.ts';

/** What the threads of an edge count clients in. */
export interface LimitMemory {
  /** Of rate limits. */
  readonly rates: TableMemory;
  /** Of what was asked for and is not there. */
  readonly missing: TableMemory;
  /** Of who is refused for a time. */
  readonly refused: TableMemory;
  /** Of requests under way. */
  readonly underWay: TableMemory;
}

/** What a thread of an edge is given to guard its sites with. */
export interface Guarding {
  readonly memory: LimitMemory;
  /** Of the thread, from 0. */
  readonly slot: number;
  /** Where limits are counted for the whole network; see `parseRedisUrl`. */
  readonly redisUrl: string | undefined;
}

/** Clients that are told apart at a time; pages that nobody has written to take no memory. */
const RATES = 65_536;
const OTHERS = 16_384;

/** About 6 MB once all of it is in use. */
export const limitMemory = (threads: number): LimitMemory => ({
  rates: windowsMemory(RATES),
  missing: windowsMemory(OTHERS),
  refused: marksMemory(OTHERS),
  underWay: underWayMemory(OTHERS, threads),
});
