import type { Readable } from 'node:stream';
import { Agent, type Dispatcher } from 'undici';
import type { Cancel, Clock } from '#core/clock.ts';
import type { UpstreamSettings } from '#core/contract/site.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import { endToEndFields, type Fields } from '#core/http/fields.ts';
import type { AttemptOutcome } from './health.ts';
import type { Parent } from './parents.ts';

/** A request as it goes to one parent. */
export interface Attempt {
  readonly parent: Parent;
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly fields: Fields;
  readonly content: Readable | undefined;
  readonly settings: UpstreamSettings;
  readonly signal: AbortSignal | undefined;
}

export interface UpstreamResponse {
  readonly parent: Parent;
  readonly status: number;
  /** End-to-end fields only. */
  readonly fields: Fields;
  /** Throws where the transfer ends before its framing says so. Must be read or discarded. */
  readonly body: AsyncIterable<Buffer>;
  /** Gives up the rest of the body. */
  discard(): void;
  /** When the request was sent, ms since the epoch. */
  readonly requestedAt: number;
  /** When the header section came, ms since the epoch. */
  readonly receivedAt: number;
}

/** A parent gave no answer; the walk goes on. */
export class AttemptFailed extends CanopyError {
  readonly outcome: Exclude<AttemptOutcome, 'answered'>;
  /** The connection broke before an answer: an idle one may have been closed as we wrote, so once more is fair. */
  readonly connectionLost: boolean;
  /** No connection came about, so the parent has seen nothing of the request. */
  readonly neverSent: boolean;

  constructor(parent: Parent, outcome: Exclude<AttemptOutcome, 'answered'>, cause: unknown) {
    const code = outcome === 'timeout' ? 'upstream-timeout' : 'upstream-unreachable';
    super(code, `${parent.name}: ${messageOf(cause)}`, { cause });
    this.outcome = outcome;
    this.connectionLost = LOST.has(errorCode(cause));
    this.neverSent = NEVER_SENT.has(errorCode(cause));
  }
}

const LOST: ReadonlySet<string> = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE']);
const NEVER_SENT: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/** Connections kept to one parent; further requests wait for one of them. */
const CONNECTIONS_PER_PARENT = 256;
const MAX_HEADER_BYTES = 64 * 1024;

/** Pooled connections to every parent, by undici. */
export class Connections {
  readonly #clock: Clock;
  /** By connect timeout, the one setting that undici keeps with the pool. */
  readonly #agents = new Map<number, Agent>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @throws AttemptFailed; whatever `signal` was aborted with */
  async send(attempt: Attempt): Promise<UpstreamResponse> {
    const { parent, settings, signal } = attempt;
    const abort = new AbortController();
    const onAbort = (): void => abort.abort(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted) onAbort();
    const firstByteMs = settings.firstByteTimeoutMs * (parent.tier === 'mid-tier' ? 2 : 1);
    const cancelTimeout = this.#clock.after(firstByteMs, () =>
      abort.abort(new TimeoutError(`no answer within ${firstByteMs} ms`)),
    );
    const requestedAt = this.#clock.now();
    let response: Dispatcher.ResponseData;
    try {
      response = await this.#agent(settings.connectTimeoutMs).request({
        origin: parent.url,
        method: attempt.method,
        path: attempt.target,
        headers: [...attempt.fields],
        body: attempt.content ?? null,
        signal: abort.signal,
        responseHeaders: 'raw',
        // Ours run on the injected clock.
        headersTimeout: 0,
        bodyTimeout: 0,
      });
    } catch (error) {
      signal?.removeEventListener('abort', onAbort);
      if (signal?.aborted) throw error;
      const outcome = error instanceof TimeoutError ? 'timeout' : 'unreachable';
      throw new AttemptFailed(parent, outcome, error);
    } finally {
      cancelTimeout();
    }
    const { body } = response;
    body.once('close', () => signal?.removeEventListener('abort', onAbort));
    return {
      parent,
      status: response.statusCode,
      fields: endToEndFields(response.headers as unknown as string[]),
      body: untilIdle(body, this.#clock, settings.idleTimeoutMs, abort),
      // Destroying without an error listener would surface as an uncaught abort.
      discard: () => void body.on('error', () => undefined).destroy(),
      requestedAt,
      receivedAt: this.#clock.now(),
    };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#agents.values()].map((agent) => agent.destroy()));
  }

  #agent(connectTimeoutMs: number): Agent {
    let agent = this.#agents.get(connectTimeoutMs);
    if (agent === undefined) {
      agent = new Agent({
        connect: { timeout: connectTimeoutMs },
        connections: CONNECTIONS_PER_PARENT,
        maxHeaderSize: MAX_HEADER_BYTES,
        pipelining: 1,
      });
      this.#agents.set(connectTimeoutMs, agent);
    }
    return agent;
  }
}

class TimeoutError extends Error {
  override readonly name = 'TimeoutError';
}

function errorCode(error: unknown): string {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return code ?? '';
}

/** `body`, aborted when the parent sends nothing for `idleTimeoutMs` while we wait for it. */
async function* untilIdle(
  body: AsyncIterable<Buffer>,
  clock: Clock,
  idleTimeoutMs: number,
  abort: AbortController,
): AsyncGenerator<Buffer, void, undefined> {
  const arm = (): Cancel =>
    clock.after(idleTimeoutMs, () =>
      abort.abort(new TimeoutError(`nothing received for ${idleTimeoutMs} ms`)),
    );
  let disarm = arm();
  try {
    for await (const chunk of body) {
      disarm();
      yield chunk;
      disarm = arm();
    }
  } finally {
    disarm();
  }
}
