import { type Duplex, Readable } from 'node:stream';
import { errors } from 'undici';
import type { Cancel, Clock } from '#core/clock.ts';
import type { Sliced } from '#core/cache/object.ts';
import type { UpstreamSettings } from '#core/contract/site.ts';
import { CanopyError, type ErrorCode, messageOf } from '#core/errors.ts';
import { formatDate } from '#core/http/dates.ts';
import {
  endToEndFields,
  type Fields,
  fieldValue,
  hasField,
  listMembers,
  withoutFields,
} from '#core/http/fields.ts';
import { Agents, MAX_HEADER_BYTES } from './agents.ts';
import { InvalidAnswer, isDirect, sendDirect } from './direct.ts';
import type { Parent } from './parents.ts';
import type { Watch } from './probes.ts';
import type { Failure, Try } from './tries.ts';
import { Tunnel } from './tunnel.ts';
import { TimeoutError, Wait } from './wait.ts';

/** A request as it goes to one parent. */
export interface Attempt {
  readonly parent: Parent;
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly fields: Fields;
  /** Read only once a connection stands. */
  readonly content: AsyncIterable<Buffer> | undefined;
  readonly settings: UpstreamSettings;
  /** From the request sent to the header section received. */
  readonly firstByteMs: number;
  readonly signal: AbortSignal | undefined;
  /** Calls back should the parent be found to be down; left out where the request may not be sent again. */
  readonly onDown?: ((callback: () => void) => Cancel) | undefined;
  /** Told of each wait for something from the parent. */
  readonly watch?: Watch | undefined;
  /** Called once when the answer's body has ended: as it should, by a failure of the parent, or by us. */
  readonly onEnd: (end: 'complete' | 'given-up' | Failure) => void;
  /** The protocols to switch to, as `Upgrade` names them. */
  readonly upgrade?: string | undefined;
  /** The content waits until the parent wants it, RFC 9110 §10.1.1. */
  readonly expectsContinue?: boolean | undefined;
  readonly onInterim?: OnInterim | undefined;
}

/** Told of each 1xx answer but 100 and 101, with its fields as they came. */
export type OnInterim = (status: number, fields: Fields) => void;

export interface UpstreamResponse {
  readonly parent: Parent;
  readonly status: number;
  /** End-to-end fields only. */
  readonly fields: Fields;
  /** Throws where the transfer ends before its framing says so. Must be read or discarded. */
  readonly body: AsyncIterable<Buffer>;
  /** Gives up the rest of the body. */
  discard(): void;
  /** Where the parent has switched protocols, what goes on in place of a body. */
  readonly tunnel?: Tunnel | undefined;
  /** When the request was sent, ms since the epoch. */
  readonly requestedAt: number;
  /** When the header section came, ms since the epoch. */
  readonly receivedAt: number;
  /** Where another thread of the node has sent it from slices, which these are. */
  readonly sliced?: Sliced | undefined;
  /** Whom this node asked for it, in order. */
  readonly tries?: readonly Try[] | undefined;
}

/** A parent gave no answer; the walk goes on. */
export class AttemptFailed extends CanopyError {
  readonly failure: Failure;
  /** The connection broke before an answer: an idle one may have been closed as we wrote, so once more is fair. */
  readonly connectionLost: boolean;

  constructor(parent: Parent, failure: Failure, cause: unknown) {
    super(CODES[failure], `${parent.name}: ${messageOf(cause)}`, { cause });
    this.failure = failure;
    this.connectionLost = LOST.has(errorCode(cause));
  }

  /** The parent has seen nothing of the request. */
  get neverSent(): boolean {
    return this.failure === 'refused' || this.failure === 'busy';
  }
}

const CODES: Readonly<Record<Failure, ErrorCode>> = {
  refused: 'upstream-unreachable',
  busy: 'upstream-busy',
  reset: 'upstream-unreachable',
  timeout: 'upstream-timeout',
  down: 'upstream-unreachable',
  invalid: 'upstream-invalid',
  status: 'upstream-unreachable',
  failed: 'upstream-unreachable',
};

const LOST: ReadonlySet<string> = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE']);
const NEVER_SENT: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/** A parent that was found to be down may go on sending a body that does not pause for longer. */
const DOWN_IDLE_MS = 500;

/** Pooled connections to every parent, by undici. */
export class Connections {
  readonly #clock: Clock;
  readonly #agents = new Agents({ keepsConnections: true });

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @throws AttemptFailed; CanopyError `invalid-request`; whatever `signal` was aborted with */
  async send(attempt: Attempt): Promise<UpstreamResponse> {
    const { parent, settings, signal } = attempt;
    const abort = new AbortController();
    const onAbort = (): void => abort.abort(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted) onAbort();
    const wait = new Wait(this.#clock, attempt.firstByteMs, abort, attempt.watch);
    wait.start();
    const cancelDown = attempt.onDown?.(() => abort.abort(new ParentDown()));
    const fromClient = attempt.content && new FromClient(attempt.content);
    const content = fromClient && Readable.from(wait.during(fromClient));
    const requestedAt = this.#clock.now();
    let answered: Answered;
    try {
      answered = isDirect(attempt)
        ? await sendDirect(attempt, content, this.#clock, abort.signal, MAX_HEADER_BYTES)
        : await this.#sendPooled(attempt, content, abort.signal);
      assertFraming(answered);
    } catch (error) {
      signal?.removeEventListener('abort', onAbort);
      if (signal?.aborted) throw error;
      if (fromClient?.refusal !== undefined) throw fromClient.refusal;
      if (CANNOT_BE_SAID.has(errorCode(error))) {
        throw new CanopyError('invalid-request', messageOf(error), { cause: error });
      }
      throw failureOf(parent, error);
    } finally {
      wait.end();
      cancelDown?.();
    }
    attempt.watch?.heard();
    const { body, status, fields, switched } = answered;
    const isEmpty = attempt.method === 'HEAD' || status === 204 || status === 304;
    // A body that we destroy ends with an error like that of a connection that breaks.
    let isLeft = false;
    const leave = (): void => {
      isLeft = true;
    };
    const onClosed = (): void => {
      signal?.removeEventListener('abort', onAbort);
      if (body.readableEnded || isEmpty) attempt.onEnd('complete');
      else if (isLeft || body.errored === null || signal?.aborted) attempt.onEnd('given-up');
      else attempt.onEnd(failureOf(parent, body.errored).failure);
    };
    // What goes on in place of a body has a limit of its own.
    if (body.closed || switched !== undefined) onClosed();
    else body.once('close', onClosed);
    return {
      parent,
      status,
      fields: dated(keptFields(status, fields), this.#clock.now()),
      tunnel: switched && new Tunnel(switched, this.#clock, settings.tunnelIdleTimeoutMs),
      body: untilIdle(body, this.#clock, abort, attempt, leave),
      discard: () => {
        leave();
        // Destroying without an error listener would surface as an uncaught abort.
        body.on('error', () => undefined).destroy();
      },
      requestedAt,
      receivedAt: this.#clock.now(),
    };
  }

  async #sendPooled(
    attempt: Attempt,
    content: Readable | undefined,
    signal: AbortSignal,
  ): Promise<Answered> {
    const { onInterim } = attempt;
    const agent = this.#agents.of(attempt.parent.connection, attempt.settings.connectTimeoutMs);
    const response = await agent.request({
      origin: attempt.parent.url,
      method: attempt.method,
      path: attempt.target,
      headers: [...attempt.fields],
      body: content ?? null,
      signal,
      responseHeaders: 'raw',
      // Ours run on the injected clock.
      headersTimeout: 0,
      bodyTimeout: 0,
      onInfo: ({ statusCode, headers }) => onInterim?.(statusCode, rawFields(headers)),
    });
    const { statusCode: status, headers, body } = response;
    return { status, fields: rawFields(headers), body, switched: undefined };
  }

  async close(): Promise<void> {
    await this.#agents.close();
  }
}

/** A request's content, which may be refused half-way: that is no failure of the parent's. */
class FromClient implements AsyncIterable<Buffer> {
  readonly #content: AsyncIterable<Buffer>;
  refusal: CanopyError | undefined;

  constructor(content: AsyncIterable<Buffer>) {
    this.#content = content;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void, undefined> {
    try {
      for await (const piece of this.#content) yield piece;
    } catch (error) {
      if (error instanceof CanopyError) this.refusal = error;
      throw error;
    }
  }
}

/** RFC 9110 §6.6.1: who receives an answer without Date and passes it on says when it came. */
const dated = (fields: Fields, now: number): Fields =>
  hasField(fields, 'date') ? fields : [...fields, 'Date', formatDate(now)];

/** An answer before its fields were looked at. */
interface Answered {
  readonly status: number;
  readonly fields: Fields;
  readonly body: Readable;
  readonly switched: Duplex | undefined;
}

/** undici types raw headers as an object all the same. */
const rawFields = (headers: unknown): Fields => headers as string[];

/** Registered transfer codings (RFC 9112 §7) that are not undone here. */
const CODED: ReadonlySet<string> = new Set(['compress', 'deflate', 'gzip', 'x-compress', 'x-gzip']);

/**
 * RFC 9112 §6.1: content under a coding that is not undone would not be what it says. A word that
 * is no coding at all is as absent: the content then ends with the connection (§6.3).
 */
function assertFraming({ fields, body, switched }: Answered): void {
  const coding = fieldValue(fields, 'transfer-encoding');
  if (!listMembers(coding).some((member) => CODED.has(member))) return;
  body.on('error', () => undefined).destroy();
  switched?.destroy();
  throw new InvalidAnswer(`transfer coding ${coding} is not understood`);
}

/** RFC 9110 §8.6: an answer without content has no length. */
function keptFields(status: number, fields: Fields): Fields {
  const kept = endToEndFields(fields);
  if (status === 101) return [...kept, 'Upgrade', fieldValue(fields, 'upgrade') ?? ''];
  return status === 204 ? withoutFields(kept, (name) => name === 'content-length') : kept;
}

/** A header section too large, and lengths that contradict the framing. */
const INVALID: ReadonlySet<string> = new Set([
  'UND_ERR_HEADERS_OVERFLOW',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
]);

function failureOf(parent: Parent, error: unknown): AttemptFailed {
  const code = errorCode(error);
  const isInvalid =
    error instanceof InvalidAnswer ||
    // undici gives it no code, node:http does.
    error instanceof errors.HTTPParserError ||
    code.startsWith('HPE_') ||
    INVALID.has(code);
  if (error instanceof TimeoutError) return new AttemptFailed(parent, 'timeout', error);
  if (error instanceof ParentDown) return new AttemptFailed(parent, 'down', error);
  if (isInvalid) return new AttemptFailed(parent, 'invalid', error);
  return new AttemptFailed(parent, NEVER_SENT.has(code) ? 'refused' : 'reset', error);
}

/** Not the parent's fault: what the client asked for cannot be said to anyone. */
const CANNOT_BE_SAID: ReadonlySet<string> = new Set(['UND_ERR_INVALID_ARG', 'ERR_INVALID_CHAR']);

/** The parent was found to be down while a request waited for it. */
class ParentDown extends Error {
  override readonly name = 'ParentDown';
  override readonly message = 'found to be down';
}

function errorCode(error: unknown): string {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return code ?? '';
}

/**
 * `body`, aborted when the parent sends nothing for `idleTimeoutMs` while we wait for it.
 * @param onLeft called where the reader takes no more
 */
async function* untilIdle(
  body: AsyncIterable<Buffer>,
  clock: Clock,
  abort: AbortController,
  { settings, onDown, watch }: Pick<Attempt, 'settings' | 'onDown' | 'watch'>,
  onLeft: () => void,
): AsyncGenerator<Buffer, void, undefined> {
  let limitMs = settings.idleTimeoutMs;
  let disarm: Cancel | undefined;
  const arm = (): void => {
    const cancelLimit = clock.after(limitMs, () =>
      abort.abort(new TimeoutError(`nothing received for ${limitMs} ms`)),
    );
    const cancelWatch = watch?.waits();
    disarm = () => {
      cancelLimit();
      cancelWatch?.();
    };
  };
  arm();
  const cancelDown = onDown?.(() => {
    limitMs = Math.min(limitMs, DOWN_IDLE_MS);
    if (disarm === undefined) return;
    disarm();
    arm();
  });
  try {
    for await (const chunk of body) {
      disarm?.();
      disarm = undefined;
      watch?.heard();
      let isLeft = true;
      try {
        yield chunk;
        isLeft = false;
      } finally {
        if (isLeft) onLeft();
      }
      arm();
    }
  } finally {
    disarm?.();
    cancelDown?.();
  }
}
