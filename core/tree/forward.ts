import { createHash } from 'node:crypto';
import {
  endToEndFields,
  fieldValue,
  type Fields,
  hasField,
  withoutFields,
} from '#core/http/fields.ts';
import { isClaim } from '#core/http/client-claims.ts';
import type { ClientRequest } from '#core/http/request.ts';
import { isTierField } from './tier-fields.ts';

/** The node that passes a request on. */
export interface ForwardedBy {
  readonly node: string;
  /** The network's pseudonym, the same on all its nodes; see `networkPseudonym`. */
  readonly network: string;
}

/** Set for each attempt anew, or of no use past this hop. */
const NOT_FORWARDED: ReadonlySet<string> = new Set(['host', 'expect', 'cdn-loop', 'via']);

/**
 * A client's request with what the edge knows of the client in place of what it says of itself, so
 * that variants are told apart by what the origin sees. The host goes without its port, which is no
 * part of the key.
 */
export function withClient(
  received: ClientRequest,
  { address, scheme = received.scheme }: { address: string; scheme?: 'http' | 'https' | undefined },
): ClientRequest {
  const fields = withoutFields(
    received.fields,
    (name) => isClaim(name, received.method) || isTierField(name),
  );
  fields.push('X-Forwarded-For', address);
  fields.push('X-Forwarded-Host', received.host);
  fields.push('X-Forwarded-Proto', scheme);
  return { ...received, scheme, fields };
}

/** What the edge knows of the client once more, as RFC 7239 §4 has it; a mid-tier is told already. */
function forwardedField({ fields, host, scheme }: ClientRequest): Fields {
  const address = fieldValue(fields, 'x-forwarded-for');
  if (address === undefined || hasField(fields, 'forwarded')) return [];
  const node = quotedIfNeeded(address.includes(':') ? `[${address}]` : address);
  return ['Forwarded', `for=${node};host=${quotedIfNeeded(host)};proto=${scheme}`];
}

/** What is no token is a quoted-string, RFC 7239 §4. */
const quotedIfNeeded = (text: string): string => (TOKEN.test(text) ? text : `"${text}"`);

const TOKEN = /^[!#$%&'*+.^_`|~0-9a-z-]+$/i;

/** What is sent upstream of a request: all that it said, save what is for one hop or between tiers. */
export function forwardedFields(request: ClientRequest, by: ForwardedBy): readonly string[] {
  const fields = withoutFields(
    endToEndFields(countedDown(request)),
    (name) => NOT_FORWARDED.has(name) || isTierField(name),
  );
  return [...fields, ...hopFields(request.fields, by), ...forwardedField(request)];
}

/** RFC 9110 §7.6.2: `Max-Forwards` counts the hops of OPTIONS, and means nothing to other methods. */
function countedDown({ method, fields }: ClientRequest): Fields {
  const hops = method === 'OPTIONS' ? fieldValue(fields, 'max-forwards') : undefined;
  if (hops === undefined || !/^\d+$/.test(hops)) return fields;
  return [
    ...withoutFields(fields, (name) => name === 'max-forwards'),
    'Max-Forwards',
    String(Math.max(0, Number(hops) - 1)),
  ];
}

function hopFields(received: Fields, by: ForwardedBy): Fields {
  const append = (name: string, own: string): string => {
    const before = fieldValue(received, name);
    return before === undefined ? own : `${before}, ${own}`;
  };
  return ['Via', append('via', `1.1 ${by.node}`), 'CDN-Loop', append('cdn-loop', loopMember(by))];
}

/** Whether the request has passed this very node before, RFC 8586. */
export function isLoop(fields: Fields, by: ForwardedBy): boolean {
  const loop = fieldValue(fields, 'cdn-loop');
  if (loop === undefined) return false;
  const own = loopMember(by);
  return loop.split(',').some((member) => member.trim() === own);
}

const loopMember = ({ network, node }: ForwardedBy): string => `${network}; node="${node}"`;

/** The network's name in `CDN-Loop` (RFC 8586): the same on all its nodes, telling nothing of its key. */
export function networkPseudonym(tierKey: string): string {
  const digest = createHash('sha256').update(`cdn-loop ${tierKey}`).digest('hex');
  return `canopy-${digest.slice(0, 12)}`;
}
