import type { Socket } from 'node:net';
import type { Answer } from '#core/cache/answer.ts';
import type { ServedSite } from '#core/cache/served-site.ts';
import type { CanopyError } from '#core/errors.ts';
import type { Fields } from '#core/http/fields.ts';
import { AccessEntry } from '#core/telemetry/access-log/entry.ts';
import type { ThreadLog } from '#core/telemetry/access-log/thread-log.ts';
import { cacheResult } from '#core/telemetry/cache-result.ts';
import { forwardReason } from '#core/telemetry/cache-status.ts';
import { REFUSED } from './deliver.ts';
import type { Exchange, Sent } from './exchange.ts';
import type { TierNode } from './tier-node.ts';
import { tlsVersionOf } from './tls/handshakes.ts';

/** A request that has been answered. */
export interface Answered {
  readonly exchange: Pick<Exchange, 'received' | 'peerAddress' | 'tlsVersion'>;
  readonly site: ServedSite | undefined;
  readonly answer: Pick<Answer, 'status' | 'outcome'>;
  readonly sent: Sent;
  /** `Clock.monotonicMs`. */
  readonly arrivedAtMs: number;
  /** From the request's arrival to the answer's header section. */
  readonly firstByteMs: number;
}

/** Counts a request, and has it in the access log where there is one. */
export function record(node: TierNode, answered: Answered): void {
  const { exchange, site, answer, sent, arrivedAtMs, firstByteMs } = answered;
  const durationMs = node.clock.monotonicMs() - arrivedAtMs;
  const { httpVersion = '1.1' } = exchange.received;
  const { outcome, status } = answer;
  node.counters.record(
    site?.name,
    outcome,
    status,
    sent.bytes,
    firstByteMs,
    durationMs,
    httpVersion,
  );
  const { accessLog } = node;
  if (accessLog === undefined) return;
  const sample = accessLog.sampled(site?.log, status);
  if (sample > 0) log(node, accessLog, answered, durationMs, sample);
}

function log(
  node: TierNode,
  accessLog: ThreadLog,
  { exchange, site, answer, sent, firstByteMs }: Answered,
  durationMs: number,
  sample: number,
): void {
  const { received } = exchange;
  const { outcome } = answer;
  const client = node.trustedProxies.client(exchange.peerAddress, received.fields);
  const entry = accessLog.next();
  entry.timeMs = node.clock.now() - durationMs;
  entry.client = accessLog.addressOf(client.address, site?.log);
  entry.method = received.method;
  entry.scheme = client.scheme ?? (received.encrypted ? 'https' : 'http');
  entry.target = received.target;
  entry.httpVersion = received.httpVersion ?? '1.1';
  entry.status = answer.status;
  entry.bytesSent = sent.bytes;
  entry.firstByteMs = firstByteMs;
  entry.durationMs = durationMs;
  entry.end = sent.end;
  entry.site = site?.name ?? '';
  entry.cache = cacheResult(outcome);
  entry.fwd = forwardReason(outcome) ?? '';
  entry.fwdStatus = outcome.forwardStatus ?? 0;
  entry.stored = outcome.stored;
  entry.collapsed = outcome.collapsed;
  entry.ttlSeconds = outcome.ttlSeconds;
  entry.detail = outcome.detail ?? outcome.reason;
  entry.parent = outcome.tries?.findLast(({ reason }) => reason === 'answered')?.parent ?? '';
  entry.tls = exchange.tlsVersion ?? '';
  entry.sample = sample;
  readFields(entry, received.fields);
}

/** Counts what could not be read as a request, and has its answer in the access log. */
export function recordUnreadable(
  node: TierNode,
  { code, status }: CanopyError,
  socket: Socket,
  bytes: number,
): void {
  node.counters.record(undefined, { ...REFUSED, detail: code }, status, bytes, 0, 0, '1.1');
  const { accessLog } = node;
  const sample = accessLog?.sampled(undefined, status) ?? 0;
  if (accessLog === undefined || sample === 0) return;
  const { address } = node.trustedProxies.client(socket.remoteAddress ?? '', []);
  const entry = Object.assign(accessLog.next(), new AccessEntry());
  entry.timeMs = node.clock.now();
  entry.client = accessLog.addressOf(address, undefined);
  entry.scheme = 'encrypted' in socket ? 'https' : 'http';
  entry.status = status;
  entry.bytesSent = bytes;
  entry.detail = code;
  entry.tls = tlsVersionOf(socket) ?? '';
  entry.sample = sample;
}

/** What the log has of a request's fields: no others, and never what proves who somebody is. */
function readFields(entry: AccessEntry, fields: Fields): void {
  entry.host = entry.referer = entry.userAgent = entry.requestId = entry.traceparent = '';
  entry.requestBytes = -1;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? '';
    const key = BY_LENGTH[name.length];
    if (key === undefined || name.toLowerCase() !== key) continue;
    const value = fields[i + 1] ?? '';
    if (key === 'host') entry.host = value;
    else if (key === 'referer') entry.referer = value;
    else if (key === 'user-agent') entry.userAgent = value;
    else if (key === 'traceparent') entry.traceparent = value;
    else if (key === 'x-request-id') entry.requestId = value;
    else if (LENGTH.test(value)) entry.requestBytes = Number(value);
  }
}

/** No two of the names have the same length, which is looked at first. */
const BY_LENGTH: readonly (string | undefined)[] = (() => {
  const names = [
    'host',
    'referer',
    'user-agent',
    'traceparent',
    'x-request-id',
    'content-length',
  ] as const;
  const byLength: (string | undefined)[] = [];
  for (const name of names) byLength[name.length] = name;
  return byLength;
})();

const LENGTH = /^\d{1,15}$/;
