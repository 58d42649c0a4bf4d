import { type ClientRequest, type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { type Duplex, pipeline, type Readable } from 'node:stream';
import type { Cancel, Clock } from '#core/clock.ts';
import { hasField } from '#core/http/fields.ts';
import { tlsOptions } from './agents.ts';
import type { Attempt } from './attempt.ts';

/** What came is no answer to the request. */
export class InvalidAnswer extends Error {
  override readonly name = 'InvalidAnswer';
}

/** An answer as it came, its fields unfiltered. */
export interface DirectAnswer {
  readonly status: number;
  readonly fields: readonly string[];
  readonly body: IncomingMessage;
  /** Where the parent has switched protocols: the connection. */
  readonly switched: Duplex | undefined;
}

/**
 * For how long a parent may leave an expectation unanswered before it is sent the content all the
 * same, RFC 9110 §10.1.1.
 */
const CONTINUE_WAIT_MS = 1_000;

/** What the pool of undici cannot say: `Upgrade` with any answer, and `Expect: 100-continue`. */
export const isDirect = ({ upgrade, expectsContinue }: Attempt): boolean =>
  upgrade !== undefined || expectsContinue === true;

/**
 * Sends a request over a connection of its own.
 * @param signal ends the request, and the answer's content, with its reason
 */
export function sendDirect(
  attempt: Attempt,
  content: Readable | undefined,
  clock: Clock,
  signal: AbortSignal,
  maxHeaderBytes: number,
): Promise<DirectAnswer> {
  const { parent, method, target, upgrade, onInterim } = attempt;
  return new Promise((resolve, reject) => {
    const { protocol, hostname, port } = new URL(parent.url);
    const outgoing = (protocol === 'https:' ? requestHttps : requestHttp)({
      host: hostname.replace(/^\[(.*)\]$/, '$1'),
      port,
      method,
      path: target,
      headers: [...attempt.fields, ...connectionFields(attempt)],
      agent: false,
      ...(protocol === 'https:' && tlsOptions(parent.connection)),
      maxHeaderSize: maxHeaderBytes,
      // A tunnel may be closed one way and stay open the other.
      ...({ allowHalfOpen: true } as object),
    });
    const onAbort = (): void => void outgoing.destroy(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    outgoing.once('close', () => signal.removeEventListener('abort', onAbort));

    // Content waits for the parent's word, or for so long.
    let isSending = false;
    const sendContent = (): void => {
      if (isSending) return;
      isSending = true;
      if (content === undefined) outgoing.end();
      // A failure shows on `outgoing`; an answer before the content's end is no failure.
      else pipeline(content, outgoing, () => undefined);
    };
    let cancelWait: Cancel | undefined;
    const onConnected = (): void => {
      if (!isSending) cancelWait = clock.after(CONTINUE_WAIT_MS, sendContent);
    };
    watchConnecting(outgoing, clock, attempt.settings.connectTimeoutMs, onConnected);
    outgoing.once('continue', sendContent);
    outgoing.on('information', ({ statusCode, rawHeaders }) => {
      if (statusCode !== 100) onInterim?.(statusCode, rawHeaders);
    });

    outgoing.once('upgrade', (incoming: IncomingMessage, socket: Duplex, head: Buffer) => {
      cancelWait?.();
      signal.removeEventListener('abort', onAbort);
      if (head.length > 0) socket.unshift(head);
      const { statusCode: status = 0, rawHeaders: fields } = incoming;
      if (upgrade !== undefined) {
        resolve({ status, fields, body: incoming, switched: socket });
        return;
      }
      socket.destroy();
      content?.destroy();
      reject(new InvalidAnswer('The parent switched protocols unasked'));
    });
    outgoing.once('response', (incoming) => {
      cancelWait?.();
      // Refused before it was sent: nothing of the content is read, and the connection ends.
      incoming.once('close', () => void outgoing.destroy());
      const { statusCode: status = 0, rawHeaders: fields } = incoming;
      resolve({ status, fields, body: incoming, switched: undefined });
    });
    outgoing.on('error', (error) => {
      cancelWait?.();
      content?.destroy();
      reject(error);
    });
    if (content === undefined) sendContent();
    else outgoing.flushHeaders();
  });
}

const connectionFields = ({
  upgrade,
  expectsContinue,
  content,
  fields,
}: Attempt): readonly string[] => [
  // node:http would not frame the content of every method by itself.
  ...(content === undefined || hasField(fields, 'content-length')
    ? []
    : ['Transfer-Encoding', 'chunked']),
  ...(upgrade === undefined
    ? ['Connection', 'close']
    : ['Connection', 'Upgrade', 'Upgrade', upgrade]),
  ...(expectsContinue === true ? ['Expect', '100-continue'] : []),
];

function watchConnecting(
  outgoing: ClientRequest,
  clock: Clock,
  limitMs: number,
  onConnected: () => void,
): void {
  const cancel = clock.after(limitMs, () => {
    const error: NodeJS.ErrnoException = new Error(`no connection within ${limitMs} ms`);
    error.code = 'UND_ERR_CONNECT_TIMEOUT';
    outgoing.destroy(error);
  });
  outgoing.once('close', cancel);
  outgoing.once('socket', (socket) => {
    socket.once('encrypted' in socket ? 'secureConnect' : 'connect', () => {
      cancel();
      onConnected();
    });
  });
}
