import type { ErrorCode } from '#core/errors.ts';
import type { Samples } from '#core/telemetry/samples.ts';
import type { DnsAddress } from '../dns/server.ts';
import type { Point } from '../engine/client.ts';
import type { News } from '../view/news.ts';

/** What a thread that answers DNS is started with. */
export interface ThreadData {
  /** The node's. */
  readonly name: string;
  /** Answers by UDP to one network, this thread's share; 0: no limit. */
  readonly answersPerSecond: number;
  /** Where clients are whom no database knows. */
  readonly elsewhere?: Point;
}

export interface ThreadPlace extends ThreadData {
  /** Contents of the databases in their order, in memory that all threads share. */
  readonly databases: readonly Uint8Array[];
}

/** From the main thread. */
export type ToThread =
  | { readonly type: 'news'; readonly news: News }
  /** A database has new content. */
  | { readonly type: 'database'; readonly place: number; readonly content: Uint8Array }
  | { readonly type: 'listen'; readonly addresses: readonly DnsAddress[] }
  | { readonly type: 'measure' }
  | { readonly type: 'close' };

/** To the main thread. */
export type FromThread =
  | { readonly type: 'listening'; readonly addresses: readonly DnsAddress[] }
  | { readonly type: 'not-listening'; readonly code: ErrorCode; readonly message: string }
  | {
      readonly type: 'measured';
      /** Queries answered since it started. */
      readonly total: number;
      readonly samples: Samples['byMetric'];
    }
  | { readonly type: 'error'; readonly message: string };
