import { MAX_PREFIX_SEGMENTS } from '#core/contract/purge.ts';
import { readRequest } from '#core/http/request.ts';

/** What people write, as nodes are to be told of it. */
interface Spelled {
  /** Lower case, without port. */
  readonly host: string;
  readonly name: string;
}

/**
 * A URL that a node could have stored something under. What a client can send as it stands goes as
 * it stands, for then the node comes to the client's key; what was typed or copied in another
 * spelling goes as a browser would send it.
 */
export function readUrl(text: string): Spelled | undefined {
  const withoutFragment = text.split('#', 1)[0] ?? '';
  const parsed = URL.parse(withoutFragment);
  if (parsed === null || parsed.username !== '' || parsed.password !== '') return undefined;
  const local = withoutFragment.replace(/^[^/]*\/\/[^/?]*/, '');
  for (const url of [parsed.origin + local, parsed.href]) {
    const request = requestFor(url);
    if (request !== undefined) return { host: request.host, name: url };
  }
  return undefined;
}

/**
 * A path and all below it: `www.example.org/a`, with or without a scheme, and with `/` or `/*` at its
 * end or without. Path segments are never split: `/a` does not mean `/ab`.
 */
export function readPrefix(text: string): Spelled | undefined {
  const path = text.replace(/(?<=\/)\*$/, '');
  if (/[*?#]/.test(path)) return undefined;
  const url = /^[a-z][a-z0-9+.-]*:\/\//i.test(path) ? path : `http://${path}`;
  const found = readUrl(url);
  if (found === undefined) return undefined;
  const target = requestFor(found.name)?.target.replace(/\/$/, '') ?? '';
  if (target.split('/').length - 1 > MAX_PREFIX_SEGMENTS) return undefined;
  return { host: found.host, name: found.host + target };
}

export function readHost(text: string): Spelled | undefined {
  if (/[/?#@*]/.test(text)) return undefined;
  const host = requestFor(`http://${text}/`)?.host;
  return host === undefined ? undefined : { host, name: host };
}

/** Beyond ASCII, octets and characters are not the same. */
const SENDABLE = /^https?:\/\/[\x21-\x7e]+$/i;

function requestFor(url: string): { readonly host: string; readonly target: string } | undefined {
  if (!SENDABLE.test(url)) return undefined;
  try {
    return readRequest({ method: 'GET', target: url, fields: [], encrypted: false });
  } catch {
    return undefined;
  }
}
