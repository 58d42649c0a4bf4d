import type { Answer } from '#core/cache/answer.ts';
import type { ServedSite } from '#core/cache/served-site.ts';
import type { FunctionSettings } from '#core/contract/functions.ts';
import { CanopyError } from '#core/errors.ts';
import { FAILURES, FunctionFailure } from '#core/functions/failure.ts';
import {
  functionAnswer,
  functionRequest,
  type MadeAnswer,
  readAnswerResult,
  readRequestResult,
} from '#core/functions/messages.ts';
import type { Hook } from '#core/functions/sandbox.ts';
import { hasField, withoutFields } from '#core/http/fields.ts';
import type { ClientRequest } from '#core/http/request.ts';
import { REFUSED } from '#core/serving/deliver.ts';
import type { TierNode } from '#core/serving/tier-node.ts';
import { Rows } from '#core/telemetry/rows.ts';
import type { Samples } from '#core/telemetry/samples.ts';
import type { RuledRequest } from '../ruled.ts';
import { FunctionHost } from './host.ts';

/** What a call came to: nothing to do, a change, an answer of its own, or a failure. */
const RESULTS = ['unchanged', 'changed', 'answered', ...FAILURES] as const;
type Result = (typeof RESULTS)[number];

const MAX_SITES = 1000;
/** Between two reports of the failures of one function. */
const REPORT_MS = 10_000;

/** Asks the sites' functions for one thread of an edge. */
export class EdgeFunctions {
  readonly #node: TierNode;
  readonly #host: FunctionHost;
  readonly #onError: (error: unknown) => void;
  readonly #counts = new Rows(RESULTS.length, MAX_SITES);
  readonly #reportedAtMs = new Map<string, number>();

  constructor(node: TierNode, onError: (error: unknown) => void) {
    this.#node = node;
    this.#onError = onError;
    this.#host = new FunctionHost(node.clock, onError);
  }

  /**
   * The request as its function wants it, or the answer that it gives by itself.
   * @throws CanopyError `function-failed` where the site wants it so
   */
  async onRequest(
    site: ServedSite,
    ruled: RuledRequest,
    request: ClientRequest,
  ): Promise<ClientRequest | Answer> {
    const seen = functionRequest(request, ruled.facts);
    const read = (value: unknown) => readRequestResult(value, request, seen);
    const told = await this.#ask(site, ruled, 'onRequest', () => [seen], read);
    if (told === undefined) return request;
    const { result } = told;
    if (isMade(result)) {
      this.#count(site, 'answered');
      return answerOf(result, undefined);
    }
    this.#count(site, result === request ? 'unchanged' : 'changed');
    return result;
  }

  /** @throws CanopyError `function-failed` where the site wants it so */
  async onAnswer(
    site: ServedSite,
    ruled: RuledRequest,
    request: ClientRequest,
    answer: Answer,
  ): Promise<Answer> {
    if (answer.tunnel !== undefined) return answer;
    const seen = functionAnswer(answer.status, answer.fields);
    const inputs = () => [seen, functionRequest(request, ruled.facts)];
    const read = (value: unknown) => readAnswerResult(value, answer.fields, seen);
    const told = await this.#ask(site, ruled, 'onResponse', inputs, read);
    if (told === undefined) return answer;
    const { result } = told;
    this.#count(site, result === undefined ? 'unchanged' : 'changed');
    if (result === undefined) return answer;
    if (result.body !== undefined) await discard(answer);
    return answerOf(result, answer);
  }

  sample(samples: Samples): void {
    for (const [site, counts] of this.#counts) {
      for (const [i, result] of RESULTS.entries()) {
        const count = counts[i] ?? 0;
        if (count > 0) samples.add('canopy_function_calls_total', count, site, result);
      }
    }
  }

  close(): Promise<void> {
    return this.#host.close();
  }

  /** `undefined` where there is no such hook, or it failed and the site goes on without. */
  async #ask<T>(
    site: ServedSite,
    { actions }: RuledRequest,
    hook: Hook,
    inputs: () => readonly unknown[],
    read: (value: unknown) => T,
  ): Promise<{ readonly result: T } | undefined> {
    const name = actions.function.at(-1) ?? '';
    const settings = site.functions[name];
    if (settings === undefined) return undefined;
    const key = `${site.name}/${name}`;
    try {
      const returned = await this.#host.call(key, settings, hook, inputs);
      return returned && { result: read(returned.value) };
    } catch (error) {
      if (!(error instanceof FunctionFailure)) throw error;
      this.#count(site, error.reason);
      this.#report(key, error);
      return this.#failed(settings, error);
    }
  }

  #failed({ onFailure }: FunctionSettings, cause: FunctionFailure): undefined {
    if (onFailure === 'open') return undefined;
    throw new CanopyError('function-failed', cause.message, { cause });
  }

  #count({ name }: ServedSite, result: Result): void {
    this.#counts.name([name]);
    const row = this.#counts.row(name);
    const at = RESULTS.indexOf(result);
    row[at] = (row[at] ?? 0) + 1;
  }

  /** So that who wrote it hears of it, and a failure for each request does not fill the log. */
  #report(key: string, { reason, message }: FunctionFailure): void {
    const now = this.#node.clock.monotonicMs();
    if (now - (this.#reportedAtMs.get(key) ?? -Infinity) < REPORT_MS) return;
    if (this.#reportedAtMs.size >= MAX_SITES) this.#reportedAtMs.clear();
    this.#reportedAtMs.set(key, now);
    this.#onError(new Error(`Function ${key} failed (${reason}): ${message}`));
  }
}

const isMade = (result: ClientRequest | MadeAnswer): result is MadeAnswer => 'status' in result;

function answerOf({ status, fields, body }: MadeAnswer, before: Answer | undefined): Answer {
  const { outcome, asOf } = before ?? { outcome: { ...REFUSED, detail: 'function' }, asOf: 0 };
  if (body === undefined && before !== undefined) return { ...before, status, fields };
  const content = Buffer.from(body ?? '');
  const own = withoutFields(fields, (name) => OF_CONTENT.has(name));
  // RFC 9110 §15.3.5, §15.4.5: these have none, and so no length.
  if (status === 204 || status === 304) return { status, fields: own, content: [], outcome, asOf };
  if (content.length > 0 && !hasField(own, 'content-type')) {
    own.push('Content-Type', 'text/plain; charset=utf-8');
  }
  own.push('Content-Length', String(content.length));
  return { status, fields: own, content: content.length > 0 ? [content] : [], outcome, asOf };
}

/** What was true of the content that another takes the place of. */
const OF_CONTENT: ReadonlySet<string> = new Set([
  'content-length',
  'content-encoding',
  'content-range',
  'accept-ranges',
  'etag',
  'last-modified',
]);

async function discard({ content }: Answer): Promise<void> {
  if (!Array.isArray(content)) {
    await (content as AsyncIterable<Buffer>)[Symbol.asyncIterator]().return?.();
  }
}
