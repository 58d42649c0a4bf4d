import { parentPort } from 'node:worker_threads';
import { LRUCache } from 'lru-cache';
import type { FunctionSettings } from '#core/contract/functions.ts';
import { messageOf } from '#core/errors.ts';
import { FunctionFailure } from '#core/functions/failure.ts';
import { Sandbox } from '#core/functions/sandbox.ts';
import type { FromFunctions, ToFunctions } from './protocol.ts';

/** Run as a worker thread: what a function does to itself, it does to no client but its own. */
const port = parentPort;
if (port === null) throw new Error('The thread of functions is started as a worker only');

/** What the interpreters that are kept ready may come to hold. */
const MAX_OPEN_BYTES = 512 * 1024 * 1024;

const settings = new Map<number, FunctionSettings>();
const open = new LRUCache<number, Promise<Sandbox>>({
  maxSize: MAX_OPEN_BYTES,
  dispose: (sandbox) => void sandbox.then((one) => one.close()).catch(() => undefined),
});

async function sandboxOf(id: number): Promise<Sandbox> {
  const known = open.get(id);
  if (known !== undefined) return known;
  const wanted = settings.get(id);
  if (wanted === undefined) throw new FunctionFailure('busy', 'The function is not known any more');
  const opening = Sandbox.open(wanted);
  open.set(id, opening, { size: wanted.maxMemoryBytes });
  return opening;
}

async function answer({ call, id, hook, inputs }: ToFunctions & { type: 'call' }): Promise<void> {
  let reply: FromFunctions;
  try {
    const sandbox = await sandboxOf(id);
    reply = { call, hooks: sandbox.hooks, returned: sandbox.call(hook, inputs) };
  } catch (error) {
    const reason = error instanceof FunctionFailure ? error.reason : 'threw';
    // What was stopped half-way may be in any state.
    if (reason !== 'result') open.delete(id);
    reply = { call, failure: { reason, message: messageOf(error) } };
  }
  port?.postMessage(reply);
}

port.on('message', (message: ToFunctions) => {
  if (message.type === 'define') settings.set(message.id, message.settings);
  else if (message.type === 'forget') {
    settings.delete(message.id);
    open.delete(message.id);
  } else void answer(message);
});
