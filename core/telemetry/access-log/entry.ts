import type { CacheResult } from '../cache-result.ts';

/** How an answer ended: `aborted`: the client left; `broken`: the content failed and the connection was cut. */
export type RequestEnd = 'complete' | 'aborted' | 'broken';

/**
 * What an access log tells of one request. Entries are kept and filled again and again, so that a
 * request makes none. Texts are as the client sent them, a character for each byte; `''`: there is none.
 */
export class AccessEntry {
  /** When the request arrived, ms since the Unix epoch. */
  timeMs = 0;
  /** Of the client, as far as it may be told. */
  client = '';
  method = '';
  scheme: 'http' | 'https' = 'http';
  /** `Host`, or the authority of the target. */
  host = '';
  /** Path and query. */
  target = '';
  /** `1.0`, `1.1` or `2.0`. */
  httpVersion = '1.1';
  status = 0;
  /** Bytes of content sent. */
  bytesSent = 0;
  /** Bytes of content that the request announced; -1: not known. */
  requestBytes = -1;
  referer = '';
  userAgent = '';
  requestId = '';
  traceparent = '';
  /** From the request's arrival to the answer's header section. */
  firstByteMs = 0;
  /** From the request's arrival to the answer's end. */
  durationMs = 0;
  end: RequestEnd = 'complete';
  site = '';
  cache: CacheResult = 'own';
  /** `fwd` of RFC 9211; `''`: no parent had to be asked. */
  fwd = '';
  /** Status that a parent answered; 0: none did. */
  fwdStatus = 0;
  stored = false;
  collapsed = false;
  /** Seconds of freshness left; `undefined`: nothing was stored. */
  ttlSeconds: number | undefined = undefined;
  /** `detail` of Cache-Status: an error's code, or the reason of what was decided. */
  detail = '';
  /** The node or server that answered. */
  parent = '';
  /** `TLSv1.3`. */
  tls = '';
  /** The part of such requests that is in the log. */
  sample = 1;
}

/** What is the same of all entries. */
export interface LogPlace {
  readonly node: string;
  /** Of the node, `''`: not known. */
  readonly location: string;
}
