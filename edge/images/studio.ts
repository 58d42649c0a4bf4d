import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { ImageOrder, ImageResult } from './order.ts';

/** Images that are made at a time. */
const MAX_AT_WORK = 2;
/** Orders that wait for that; more are refused. */
const MAX_WAITING = 32;
/** Bytes of images that wait; with more, further ones are refused. */
const MAX_WAITING_BYTES = 64 * 1024 * 1024;
/** An image takes so long at most; then the process that makes it is ended. */
const MAX_MS = 20_000;
/** The process ends when there has been nothing to do for so long. */
const IDLE_MS = 60_000;

type Order = Omit<ImageOrder, 'id'>;

export interface MadeImage {
  readonly content: Buffer;
  readonly contentType: string;
}

/** `busy`: there is too much to do; `lost`: the process has died of it, or took too long. */
export type Outcome = MadeImage | 'unreadable' | 'busy' | 'lost';

interface Waiting {
  readonly order: Order;
  readonly settle: (outcome: Outcome) => void;
}

interface AtWork {
  readonly settle: (outcome: Outcome) => void;
  readonly timer: NodeJS.Timeout;
}

/**
 * Makes images in a process of its own, so that neither an image that brings its reader down nor one
 * that takes long is felt by who serves. It starts with the first order, and anew after it has died.
 */
export class Studio {
  #child: ChildProcess | undefined;
  #idle: NodeJS.Timeout | undefined;
  readonly #waiting: Waiting[] = [];
  readonly #atWork = new Map<number, AtWork>();
  #orders = 0;

  make(order: Order): Promise<Outcome> {
    const bytes = this.#waiting.reduce((sum, { order: { source } }) => sum + source.length, 0);
    if (this.#waiting.length >= MAX_WAITING || bytes > MAX_WAITING_BYTES) {
      return Promise.resolve('busy');
    }
    return new Promise((settle) => {
      this.#waiting.push({ order, settle });
      this.#next();
    });
  }

  close(): void {
    this.#child?.kill('SIGKILL');
  }

  #next(): void {
    while (this.#atWork.size < MAX_AT_WORK) {
      const next = this.#waiting.shift();
      if (next === undefined) break;
      const id = this.#orders++;
      // It has but one way to be stopped.
      const timer = setTimeout(() => this.#child?.kill('SIGKILL'), MAX_MS);
      timer.unref();
      this.#atWork.set(id, { settle: next.settle, timer });
      this.#start().send({ ...next.order, id } satisfies ImageOrder);
    }
    clearTimeout(this.#idle);
    // Without orders it keeps no node from ending.
    const hold = this.#atWork.size > 0 ? 'ref' : 'unref';
    this.#child?.[hold]();
    this.#child?.channel?.[hold]();
    if (this.#atWork.size > 0) return;
    this.#idle = setTimeout(() => this.close(), IDLE_MS).unref();
  }

  #start(): ChildProcess {
    if (this.#child !== undefined) return this.#child;
    const child = fork(fileURLToPath(new URL('./worker.ts', import.meta.url)), {
      execArgv: [],
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    this.#child = child;
    child.on('message', (result: ImageResult) => {
      const work = this.#take(result.id);
      if ('error' in result) work?.settle('unreadable');
      else {
        const { content, contentType } = result;
        work?.settle({ content: Buffer.from(content), contentType });
      }
      this.#next();
    });
    const onLost = (): void => {
      if (this.#child !== child) return;
      this.#child = undefined;
      for (const id of this.#atWork.keys()) this.#take(id)?.settle('lost');
      this.#next();
    };
    child.once('exit', onLost);
    child.once('error', onLost);
    return child;
  }

  #take(id: number): AtWork | undefined {
    const work = this.#atWork.get(id);
    clearTimeout(work?.timer);
    this.#atWork.delete(id);
    return work;
  }
}
