import type { MessagePort } from 'node:worker_threads';
import type { Changed } from '#core/cache/engine.ts';
import type { MemoryLedger } from '#core/cache/memory-share.ts';
import type { PolicyName } from '#core/cache/eviction/policies.ts';
import type { Config, JournalEvent } from '#core/contract/event.ts';
import type { Question, Said } from '#core/contract/question.ts';
import type { ExplainAsked, Explained } from '#core/contract/explain.ts';
import type { Tier } from '#core/contract/node.ts';
import type { ErrorCode } from '#core/errors.ts';
import type { DatabaseContent } from '#core/geography/node-geography.ts';
import type { LimitMemory } from '#core/limits/limit-memory.ts';
import type { LeaseMemory } from '#core/node/lease.ts';
import type { Placed, Placement } from '#core/node/placement.ts';
import type { SharedPace } from '#core/node/shared-pace.ts';
import type { Load, ParentReport, PurgeReport } from '#core/contract/report.ts';
import type { ClientLimits } from './clients/limits.ts';
import type { DiskConnection } from './disk/node-disk.ts';
import type { Lines, LogContent } from '#core/telemetry/access-log/thread-log.ts';
import type { Samples } from '#core/telemetry/samples.ts';
import type { AtHome } from './place.ts';
import type { TlsPlace } from './tls/messages.ts';

/** What a thread is started with. */
export interface ThreadData {
  readonly name: string;
  readonly tier: Tier;
  /** Of this thread, where all have an equal share. */
  readonly memoryBytes: number;
  /** By which several threads share the memory by need instead. */
  readonly memory?: MemoryLedger | undefined;
  readonly memoryPolicy?: PolicyName;
  /** Disk for what slow clients have not read yet; `bytes` is this thread's share. */
  readonly spill: { readonly dir: string; readonly bytes: number };
  /** See `TierNodeOptions`. */
  readonly trustedProxies?: readonly string[];
  /** Of this thread; left out: nobody is counted. */
  readonly clientLimits?: ClientLimits | undefined;
  /** Databases of where addresses are, in their order. */
  readonly geography?: readonly DatabaseContent[] | undefined;
  /** Of an edge: what its threads count clients in. */
  readonly limits?: LimitMemory | undefined;
  /** Of an edge: where limits are counted for the whole network. */
  readonly rateLimitRedis?: string | undefined;
  /** See `ServingOptions`. */
  readonly hitLane?: boolean;
  /** The node's lease, which the main thread renews. */
  readonly lease: LeaseMemory;
  /** Where the node has an access log. */
  readonly log?: LogContent | undefined;
}

/** Its place among the node's threads, which the thread that replaces it takes over. */
export interface ThreadPlace extends ThreadData {
  readonly slot: number;
  /** Where the node has a disk store. */
  readonly disk?: DiskConnection | undefined;
  /** Where the node serves TLS. */
  readonly tls?: TlsPlace | undefined;
}

/** What a thread listens for. */
export type Scheme = 'http' | 'https';

/** From the main thread. */
export type ToThread =
  | {
      readonly type: 'config';
      readonly id: number;
      readonly config: Config;
      readonly reset: boolean;
    }
  | {
      readonly type: 'event';
      readonly id: number;
      readonly event: JournalEvent;
      readonly reset: boolean;
    }
  /** Another thread has passed on a request that changed these. */
  | { readonly type: 'changed'; readonly id: number; readonly changed: Changed }
  /** All others have heeded what this thread said under `id`. */
  | { readonly type: 'told'; readonly id: number }
  /** The way to another thread. */
  | { readonly type: 'sibling'; readonly slot: number; readonly port: MessagePort }
  | {
      readonly type: 'listen';
      readonly scheme: Scheme;
      readonly host: string;
      readonly port: number;
      readonly reusePort: boolean;
    }
  /** The node's checks have these parents down, and no others. */
  | { readonly type: 'checked'; readonly down: readonly string[] }
  /** A database has new content. */
  | { readonly type: 'geography'; readonly database: DatabaseContent }
  /** Answered with `said`. */
  | { readonly type: 'question'; readonly id: number; readonly question: Question }
  /** What all threads say to the question that this one asked under `id`; `undefined`: none can tell. */
  | { readonly type: 'explained'; readonly id: number; readonly explained: Explained | undefined }
  /** Answered with `measured`. */
  | { readonly type: 'measure'; readonly id: number }
  /** Store an object before anybody asks for it; answered with `placed`. */
  | {
      readonly type: 'place';
      readonly id: number;
      readonly placement: Placement;
      /** The object's home has been found to be this thread. */
      readonly atHome: boolean;
      readonly pace: SharedPace | undefined;
    }
  /** Lines of the access log have been written, or given up: their memory is free. */
  | { readonly type: 'logged'; readonly memory: ArrayBuffer }
  /** What was asked under this id is not wanted any more. */
  | { readonly type: 'give-up'; readonly id: number }
  | { readonly type: 'close'; readonly graceMs: number };

/** To the main thread. */
export type FromThread =
  | { readonly type: 'applied'; readonly id: number; readonly report: PurgeReport | undefined }
  | { readonly type: 'changed'; readonly id: number; readonly changed: Changed }
  | { readonly type: 'placed'; readonly id: number; readonly placed: Placed | AtHome }
  | {
      readonly type: 'listening';
      readonly scheme: Scheme;
      readonly url: string;
      readonly port: number;
    }
  | {
      readonly type: 'not-listening';
      readonly scheme: Scheme;
      readonly code: ErrorCode;
      readonly message: string;
    }
  | { readonly type: 'load'; readonly load: Load; readonly parents: readonly ParentReport[] }
  | {
      readonly type: 'measured';
      /** Of the message that asked; `undefined`: nobody did. */
      readonly id: number | undefined;
      readonly samples: Samples['byMetric'];
    }
  /** Lines of the access log; answered with `logged`. */
  | { readonly type: 'log'; readonly lines: Lines }
  /** `undefined`: nothing, for an error that it has told of. */
  | { readonly type: 'said'; readonly id: number; readonly said: Said | undefined }
  /** A client asks: put to all threads, and answered with `explained`. */
  | { readonly type: 'explain'; readonly id: number; readonly asked: ExplainAsked }
  | { readonly type: 'error'; readonly message: string };
