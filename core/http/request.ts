import { CanopyError, MethodNotAllowed } from '#core/errors.ts';
import { endToEndFields, type Fields, fieldLines, fieldValue, hasField } from './fields.ts';
import { normalizeTarget } from './target.ts';

/** A request as its sender put it, before anything was checked. */
export interface ReceivedRequest {
  readonly method: string;
  /** Request target as in the request line: origin-form or absolute-form (RFC 9112 §3.2). */
  readonly target: string;
  readonly fields: Fields;
  /** Whether it came over TLS. */
  readonly encrypted: boolean;
  /** Where the framing of its protocol tells; left out, the fields do. */
  readonly hasContent?: boolean;
  /** `1.1` where left out. */
  readonly httpVersion?: string;
  /** The protocols that it would switch to, where its listener can (RFC 9110 §7.8). */
  readonly upgrade?: string | undefined;
}

/** A request that the rest of Canopy works on. */
export interface ClientRequest {
  readonly method: string;
  readonly scheme: 'http' | 'https';
  /** As the client sent it, for `Host` upstream. */
  readonly authority: string;
  /** Lower case, without port and trailing dot. */
  readonly host: string;
  /** Path, normalised once, and query as sent. */
  readonly target: string;
  readonly fields: Fields;
  readonly hasContent: boolean;
  /** The protocols to switch to, as `Upgrade` names them. */
  readonly upgrade: string | undefined;
  /** The content comes only when it is asked for, RFC 9110 §10.1.1. */
  readonly expectsContinue: boolean;
}

/** Bytes of a request target; more is refused with 414. */
export const MAX_TARGET_LENGTH = 8192;
/** Field lines of a request; more is refused with 431. */
export const MAX_FIELD_LINES = 256;
/** DNS names end at 253 characters; with the target's limit this bounds the cache key. */
const MAX_HOST_LENGTH = 255;

// A hostname, IPv4 or bracketed IPv6 address, and an optional port: RFC 9110 §4.2.3, RFC 3986 §3.2.2
// without percent-encoding, which no DNS name needs.
const AUTHORITY = /^([a-z0-9._~-]+|\[[0-9a-f:.]+\])(?::\d{0,5})?$/i;
const ABSOLUTE_FORM = /^(https?):\/\/([^/?#]*)(.*)$/i;

/** What a site may be asked with. */
export const ALLOWED_METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS';

/**
 * Reads a request, or says why it cannot be one.
 * @throws CanopyError `invalid-request`, `uri-too-long`, `header-too-large`, `method-not-allowed`,
 * `expectation-failed`, `not-implemented`
 */
export function readRequest(received: ReceivedRequest): ClientRequest {
  const { method, fields } = received;
  // TRACE would show a client what the tiers add (RFC 9110 §9.3.8); CONNECT is for forward proxies.
  if (method === 'TRACE' || method === 'CONNECT') {
    throw new MethodNotAllowed(method, ALLOWED_METHODS);
  }
  if (received.target.length > MAX_TARGET_LENGTH) {
    throw new CanopyError(
      'uri-too-long',
      `The request target has ${received.target.length} characters, at most ${MAX_TARGET_LENGTH} are read`,
    );
  }
  if (fields.length > 2 * MAX_FIELD_LINES) {
    throw new CanopyError(
      'header-too-large',
      `The header section has ${fields.length / 2} lines, at most ${MAX_FIELD_LINES} are read`,
    );
  }
  const hosts = fieldLines(fields, 'host');
  if (hosts.length > 1) {
    throw new CanopyError('invalid-request', `Expected one Host, received ${hosts.length}`);
  }
  const absolute = ABSOLUTE_FORM.exec(received.target);
  // RFC 9112 §3.2.2: the target's authority overrides Host.
  const authority = absolute?.[2] ?? hosts[0] ?? '';
  const host = AUTHORITY.exec(authority)?.[1];
  if (host === undefined || host.length > MAX_HOST_LENGTH) {
    throw new CanopyError('invalid-request', `Host is not a host: ${JSON.stringify(authority)}`);
  }
  const isOld = received.httpVersion === '1.0';
  assertTransferCoding(fields, isOld);
  const scheme = absolute?.[1]?.toLowerCase() ?? (received.encrypted ? 'https' : 'http');
  return {
    method,
    scheme: scheme === 'https' ? 'https' : 'http',
    authority,
    host: host.toLowerCase().replace(/\.$/, ''),
    target: isOfServer(received, absolute) ? '*' : readTarget(absolute, received),
    fields: endToEndFields(fields),
    hasContent: received.hasContent ?? hasContent(fields),
    upgrade: received.upgrade,
    // RFC 9110 §10.1.1: an HTTP/1.0 client that expects it does not know what it says.
    expectsContinue: !isOld && readExpectation(fields),
  };
}

/** RFC 9110 §9.3.7, RFC 9112 §3.2.4: OPTIONS of the server as a whole, in asterisk- or absolute-form. */
function isOfServer(
  { method, target }: ReceivedRequest,
  absolute: RegExpExecArray | null,
): boolean {
  return method === 'OPTIONS' && (target === '*' || absolute?.[3] === '');
}

/** RFC 9112 §6.1: content in a coding that is not undone here would be passed on as what it is not. */
function assertTransferCoding(fields: Fields, isOld: boolean): void {
  const coding = fieldValue(fields, 'transfer-encoding');
  if (coding === undefined) return;
  if (isOld) throw new CanopyError('invalid-request', 'HTTP/1.0 has no Transfer-Encoding');
  if (coding.trim().toLowerCase() === 'chunked') return;
  throw new CanopyError('not-implemented', `The transfer coding is not understood: ${coding}`);
}

function readExpectation(fields: Fields): boolean {
  const expectation = fieldValue(fields, 'expect');
  if (expectation === undefined) return false;
  if (expectation.trim().toLowerCase() === '100-continue') return true;
  throw new CanopyError('expectation-failed', `Only 100-continue can be met, not ${expectation}`);
}

function readTarget(absolute: RegExpExecArray | null, { target }: ReceivedRequest): string {
  const local = absolute === null ? target : (absolute[3] ?? '');
  const hasPath = absolute === null || local.startsWith('/');
  const normalized = normalizeTarget(hasPath ? local : `/${local}`);
  if (normalized === undefined) {
    throw new CanopyError('invalid-request', `The request target is malformed: ${target}`);
  }
  return normalized;
}

/** RFC 9112 §6.3: content is announced by either framing field. */
function hasContent(fields: Fields): boolean {
  if (hasField(fields, 'transfer-encoding')) return true;
  const lengths = fieldLines(fields, 'content-length');
  return lengths.some((length) => length.trim() !== '0');
}
