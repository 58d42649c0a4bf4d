import type { MessagePort } from 'node:worker_threads';
import type { StoredFence } from '#core/cache/disk/durable-fence.ts';
import type { Health } from '#core/cache/disk/health.ts';
import type { Budget } from '#core/cache/disk/limits.ts';
import type { DiskPlace } from '#core/cache/disk/messages.ts';
import type { Samples } from '#core/telemetry/samples.ts';

/** What the thread that keeps the disk store is started with. */
export interface DiskThreadData extends Budget {
  readonly dir: string;
}

/** From the main thread. */
export type ToDiskThread =
  /** A thread opens the store: the other end of what it sends its orders by. */
  | { readonly type: 'accept'; readonly port: MessagePort }
  /** Answered with `measured`. */
  | { readonly type: 'measure'; readonly id: number }
  | { readonly type: 'close' };

/** To the main thread. */
export type FromDiskThread =
  /** @param place of slot 0 @param fence what it remembers of purges */
  | { readonly type: 'opened'; readonly place: DiskPlace; readonly fence: StoredFence }
  | {
      readonly type: 'not-opened';
      /** Another process has it. */
      readonly isConflict: boolean;
      readonly message: string;
    }
  | { readonly type: 'health'; readonly health: Health }
  | { readonly type: 'measured'; readonly id: number; readonly samples: Samples['byMetric'] }
  | { readonly type: 'warning'; readonly message: string };
