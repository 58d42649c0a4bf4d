import type {
  QuickJSContext,
  QuickJSHandle,
  QuickJSRuntime,
  QuickJSWASMModule,
} from 'quickjs-emscripten-core';
import type { FunctionSettings } from '#core/contract/functions.ts';
import { FunctionFailure } from './failure.ts';
import { interpreter } from './interpreter.ts';

export const HOOKS = ['onRequest', 'onResponse'] as const;
export type Hook = (typeof HOOKS)[number];

type Limits = Pick<FunctionSettings, 'source' | 'maxCpuMs' | 'maxMemoryBytes'>;

const MAX_STACK_BYTES = 256 * 1024;
/** Lines that one call may write to its console; the rest is lost. */
const MAX_LINES = 100;
const MAX_LINE_LENGTH = 1000;
/** Loading runs the module's own code, and reads up to 256 KiB of it. */
const LOAD_CPU_MS = 100;
const FILE = 'function.js';

/**
 * Calls a hook with arguments as JSON, and gives what it returns, or what a promise of it comes to,
 * as JSON: values cross the sandbox's wall as text, so that nothing of ours is within reach.
 */
const BRIDGE = `(() => {
  const { parse, stringify } = JSON;
  return (hook, input, lines, most, longest) => {
    globalThis.console = Object.fromEntries(['log', 'info', 'warn', 'error', 'debug'].map((level) => [
      level,
      (...values) => {
        if (lines.length >= most) return;
        const text = values.map((one) => (typeof one === 'string' ? one : stringify(one))).join(' ');
        lines.push(text.slice(0, longest));
      },
    ]));
    const out = (value) => stringify({ value, lines });
    const result = hook(...parse(input));
    return typeof result?.then === 'function' ? result.then(out) : out(result);
  };
})()`;

/** What a call has come to. */
export interface Returned {
  /** As it went through JSON; `undefined` for nothing. */
  readonly value: unknown;
  /** What the function wrote to its console. */
  readonly lines: readonly string[];
}

/**
 * A function with an interpreter of its own (QuickJS, as WebAssembly): it has the language's own
 * objects and a console, no clock finer than `Date`, no network, no files, no timers. What it keeps
 * in variables stays from call to call.
 */
export class Sandbox {
  readonly #runtime: QuickJSRuntime;
  readonly #context: QuickJSContext;
  readonly #maxCpuMs: number;
  readonly #hooks = new Map<Hook, QuickJSHandle>();
  #bridge: QuickJSHandle;
  #endsAtMs = Infinity;

  private constructor(engine: QuickJSWASMModule, { source, maxCpuMs }: Limits) {
    this.#maxCpuMs = maxCpuMs;
    this.#runtime = engine.newRuntime();
    this.#runtime.setMaxStackSize(MAX_STACK_BYTES);
    this.#runtime.setInterruptHandler(() => threadCpuMs() > this.#endsAtMs);
    this.#context = this.#runtime.newContext();
    this.#bridge = this.#unwrap(this.#context.evalCode(BRIDGE, 'bridge.js'));
    this.#load(source);
  }

  /** @throws FunctionFailure `threw` with the line, `cpu`, `memory` where the module cannot be loaded */
  static async open(limits: Limits): Promise<Sandbox> {
    return new Sandbox(await interpreter(limits.maxMemoryBytes), limits);
  }

  get hooks(): readonly Hook[] {
    return [...this.#hooks.keys()];
  }

  /**
   * @param inputs what goes through JSON
   * @throws FunctionFailure; after `cpu` and `memory` the sandbox is to be closed
   */
  call(hook: Hook, inputs: readonly unknown[]): Returned {
    const handle = this.#hooks.get(hook);
    if (handle === undefined) return { value: undefined, lines: [] };
    const context = this.#context;
    const lines = context.newArray();
    const bounds = [JSON.stringify(inputs), MAX_LINES, MAX_LINE_LENGTH] as const;
    const input = context.newString(bounds[0]);
    const most = context.newNumber(bounds[1]);
    const longest = context.newNumber(bounds[2]);
    try {
      const output = this.#within(this.#maxCpuMs, () => {
        const called = context.callFunction(
          this.#bridge,
          context.undefined,
          handle,
          input,
          lines,
          most,
          longest,
        );
        return this.#settled(this.#unwrap(called));
      });
      return JSON.parse(output) as Returned;
    } finally {
      for (const one of [lines, input, most, longest]) one.dispose();
    }
  }

  close(): void {
    for (const handle of this.#hooks.values()) handle.dispose();
    this.#bridge.dispose();
    this.#context.dispose();
    this.#runtime.dispose();
  }

  #load(source: string): void {
    const loaded = this.#within(LOAD_CPU_MS, () =>
      this.#unwrap(this.#context.evalCode(source, FILE, { type: 'module' })),
    );
    // A module that awaits at its top gives a promise of what it exports.
    const exports = this.#context.typeof(loaded) === 'object' ? loaded : this.#context.undefined;
    for (const hook of HOOKS) {
      const handle = this.#context.getProp(exports, hook);
      if (this.#context.typeof(handle) === 'function') this.#hooks.set(hook, handle);
      else handle.dispose();
    }
    loaded.dispose();
    if (this.#hooks.size === 0) {
      throw new FunctionFailure('threw', `It exports none of ${HOOKS.join(', ')} as a function`);
    }
  }

  /** The text that a call came to, once the promises that it left are done with. */
  #settled(result: QuickJSHandle): string {
    const context = this.#context;
    const jobs = this.#runtime.executePendingJobs();
    if (jobs.error !== undefined) {
      result.dispose();
      throw this.#failure(jobs.error);
    }
    const state = context.getPromiseState(result);
    if (state.type === 'pending') {
      result.dispose();
      throw new FunctionFailure('result', 'It waits for what will never come');
    }
    if (state.type === 'rejected') {
      result.dispose();
      throw this.#failure(state.error);
    }
    const text = context.getString(state.value);
    state.value.dispose();
    if (state.notAPromise !== true) result.dispose();
    return text;
  }

  #within<T>(maxCpuMs: number, run: () => T): T {
    this.#endsAtMs = threadCpuMs() + maxCpuMs;
    try {
      return run();
    } finally {
      this.#endsAtMs = Infinity;
    }
  }

  #unwrap(result: ReturnType<QuickJSContext['evalCode']>): QuickJSHandle {
    if (result.error === undefined) return result.value;
    throw this.#failure(result.error);
  }

  #failure(error: QuickJSHandle): FunctionFailure {
    const dumped: unknown = this.#context.dump(error);
    error.dispose();
    const { name, message, stack } = errorIn(dumped);
    const at = /function\.js:\d+(?::\d+)?/.exec(stack)?.[0];
    const text = `${name}: ${message}${at === undefined ? '' : ` at ${at}`}`;
    if (name === 'InternalError' && message === 'interrupted') {
      return new FunctionFailure('cpu', 'It ran for longer than it may');
    }
    if (name === 'InternalError' && message === 'out of memory') {
      return new FunctionFailure('memory', 'It needs more memory than it may have');
    }
    return new FunctionFailure('threw', text);
  }
}

function errorIn(dumped: unknown): { name: string; message: string; stack: string } {
  if (typeof dumped !== 'object' || dumped === null) {
    return { name: 'Thrown', message: String(dumped), stack: '' };
  }
  const { name = 'Error', message = '', stack = '' } = dumped as Record<string, unknown>;
  return { name: String(name), message: String(message), stack: String(stack) };
}

/** Of this thread alone: on a crowded machine a function is not charged for others. */
function threadCpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
