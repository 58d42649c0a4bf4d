import { isDeepStrictEqual } from 'node:util';
import { Worker } from 'node:worker_threads';
import { LRUCache } from 'lru-cache';
import type { Cancel, Clock } from '#core/clock.ts';
import type { FunctionSettings } from '#core/contract/functions.ts';
import { messageOf } from '#core/errors.ts';
import { FunctionFailure } from '#core/functions/failure.ts';
import type { Hook, Returned } from '#core/functions/sandbox.ts';
import type { FromFunctions, ToFunctions } from './protocol.ts';

/** Calls that wait for their answer; more fail at once. */
const MAX_PENDING = 1000;
/** For how long one waits, those before it included. */
const MAX_WAIT_MS = 1000;
/** Without any answer for so long, the thread is taken for hung and ended. */
const HUNG_MS = 10_000;
/** Functions that the thread knows. */
const MAX_KNOWN = 1024;

interface Known {
  readonly id: number;
  readonly settings: FunctionSettings;
  /** Learnt with the first answer. */
  hooks: readonly Hook[] | undefined;
}

interface Pending {
  readonly known: Known;
  resolve(returned: Returned): void;
  reject(failure: FunctionFailure): void;
  readonly cancelWait: Cancel;
}

/** The functions of the sites, in a thread beside the one that serves clients. */
export class FunctionHost {
  readonly #clock: Clock;
  readonly #onError: (error: unknown) => void;
  readonly #known: LRUCache<string, Known>;
  readonly #pending = new Map<number, Pending>();
  #worker: Worker | undefined;
  #cancelWatch: Cancel | undefined;
  #nextId = 0;
  #nextCall = 0;

  constructor(clock: Clock, onError: (error: unknown) => void) {
    this.#clock = clock;
    this.#onError = onError;
    this.#known = new LRUCache({
      max: MAX_KNOWN,
      dispose: ({ id }) => this.#post({ type: 'forget', id }),
    });
  }

  /**
   * Calls a hook, `undefined` if the function has none such.
   * @param name tells the function from all others
   * @throws FunctionFailure
   */
  call(
    name: string,
    settings: FunctionSettings,
    hook: Hook,
    inputs: () => readonly unknown[],
  ): Promise<Returned> | undefined {
    const known = this.#knownAs(name, settings);
    if (known.hooks?.includes(hook) === false) return undefined;
    if (this.#pending.size >= MAX_PENDING) {
      return Promise.reject(new FunctionFailure('busy', `${MAX_PENDING} calls wait already`));
    }
    const call = this.#nextCall++;
    return new Promise((resolve, reject) => {
      const cancelWait = this.#clock.after(MAX_WAIT_MS, () => {
        this.#pending.delete(call);
        reject(new FunctionFailure('busy', `It was not done within ${MAX_WAIT_MS} ms`));
      });
      this.#pending.set(call, { known, resolve, reject, cancelWait });
      this.#post({ type: 'call', call, id: known.id, hook, inputs: inputs() });
      this.#watch();
    });
  }

  async close(): Promise<void> {
    await this.#end('The edge is closing');
  }

  #knownAs(name: string, settings: FunctionSettings): Known {
    const before = this.#known.get(name);
    if (before !== undefined) {
      if (before.settings === settings) return before;
      if (isDeepStrictEqual(before.settings, settings)) {
        const same = { ...before, settings };
        // `dispose` would have the thread forget it.
        this.#known.set(name, same, { noDisposeOnSet: true });
        return same;
      }
    }
    const known: Known = { id: this.#nextId++, settings, hooks: undefined };
    this.#known.set(name, known);
    this.#post({ type: 'define', id: known.id, settings });
    return known;
  }

  #post(message: ToFunctions): void {
    this.#worker ??= this.#start();
    this.#worker.postMessage(message);
  }

  #start(): Worker {
    const worker = new Worker(new URL('./worker.ts', import.meta.url));
    worker.unref();
    worker.on('message', (message: FromFunctions) => this.#receive(message));
    worker.on('error', (error) => {
      this.#onError(error);
      if (this.#worker === worker) void this.#end(messageOf(error));
    });
    return worker;
  }

  #receive({ call, hooks, returned, failure }: FromFunctions): void {
    this.#cancelWatch?.();
    this.#cancelWatch = undefined;
    const pending = this.#pending.get(call);
    this.#pending.delete(call);
    if (this.#pending.size > 0) this.#watch();
    if (pending === undefined) return;
    pending.cancelWait();
    if (hooks !== undefined) pending.known.hooks = hooks;
    if (returned !== undefined) pending.resolve(returned);
    else {
      pending.reject(
        new FunctionFailure(failure?.reason ?? 'threw', failure?.message ?? 'It gave no answer'),
      );
    }
  }

  /** The interpreter ends what runs for too long by itself; should it fail to, this does. */
  #watch(): void {
    this.#cancelWatch ??= this.#clock.after(HUNG_MS, () => {
      this.#cancelWatch = undefined;
      this.#onError(new Error('The thread of functions hung, and was ended'));
      void this.#end('The thread hung');
    });
  }

  /** What is called after it begins with a new thread, which knows no function yet. */
  async #end(why: string): Promise<void> {
    const worker = this.#worker;
    this.#cancelWatch?.();
    this.#cancelWatch = undefined;
    for (const pending of this.#pending.values()) {
      pending.cancelWait();
      pending.reject(new FunctionFailure('busy', why));
    }
    this.#pending.clear();
    this.#known.clear();
    this.#worker = undefined;
    await worker?.terminate();
  }
}
