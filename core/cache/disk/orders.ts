import type { MessagePort } from 'node:worker_threads';
import { commitObject, type Committing } from './commit.ts';
import type { Counts } from './counts.ts';
import { advanceFence, type DurableEpochs } from './durable-fence.ts';
import type { Change, Commit } from './messages.ts';
import { dropOrdered } from './upkeep.ts';

/** What a thread has asked for. */
export type Order =
  | {
      readonly kind: 'commit';
      readonly commit: Commit;
      readonly port: MessagePort;
      readonly id: number;
    }
  | Change;

/** Commits and changes of one transaction. */
const BATCH = 256;
/** Changes that are kept until the disk works again; of more, the keys are lost to this process. */
const MOST_OWED = 100_000;

/** What threads have asked for, in the order in which it came. */
export class Orders {
  #queue: Order[] = [];
  /** Changes that could not be written down. */
  #owed: Change[] = [];

  get isEmpty(): boolean {
    return this.#queue.length === 0;
  }

  commit(order: Order & { kind: 'commit' }): void {
    this.#queue.push(order);
  }

  /** Changes are written in their order. */
  change(change: Change): void {
    if (this.#owed.length > 0) this.owe(change);
    else this.#queue.push(change);
  }

  owe(change: Change): void {
    if (change.kind !== 'drop' || this.#owed.length < MOST_OWED) this.#owed.push(change);
  }

  /** The disk works again. */
  retry(): void {
    this.#queue.unshift(...this.#owed);
    this.#owed = [];
  }

  takeBatch(): readonly Order[] {
    return this.#queue.splice(0, BATCH);
  }
}

export interface Writing extends Omit<Committing, 'evicted'> {
  readonly epochs: DurableEpochs;
  readonly counts: Counts;
}

/** Makes an order true, within a transaction of the index. @returns whether it is stored */
export function writeOrder(order: Order, at: Writing): boolean {
  const { index, ledger, epochs, counts } = at;
  switch (order.kind) {
    case 'commit':
      return commitObject(order.commit, {
        ...at,
        evicted: (reason, left) => counts.add(reason, left),
      });
    case 'drop': {
      const left = dropOrdered(index, ledger, order.drop);
      if (left !== undefined) counts.add(order.drop.reason, left);
      return true;
    }
    case 'raise':
      epochs.raise(order.scope, order.purge);
      return true;
    case 'forget':
      epochs.forget(order.one);
      return true;
    case 'follow':
      epochs.follow(order.journal, order.at);
      return true;
    case 'advance':
      advanceFence(index, order.sequence);
      return true;
  }
}
