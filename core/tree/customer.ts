import type { PullOrigin } from '#core/contract/site.ts';
import { type Fields, withoutFields } from '#core/http/fields.ts';
import { type RedirectTarget, redirectTarget } from '#core/http/redirect.ts';
import type { UpstreamResponse } from './attempt.ts';
import type { Parent } from './parents.ts';
import { signatureFields } from './signature.ts';

/** A request as a customer's server is to see it. */
export interface CustomerRequest {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly fields: Fields;
  /** The host that the client asked for. */
  readonly host: string;
}

/** What one of a site's own servers is sent: `Host`, the site's fields, and a signature over all that. */
export function customerFields(
  origin: PullOrigin,
  parent: Parent,
  { method, target, fields, host }: CustomerRequest,
  now: number,
): Fields {
  const own = new URL(parent.url).host;
  if (parent.isElsewhere === true) return ['Host', own, ...withoutFields(fields, isSecret)];
  const { hostHeader, requestFields, signing } = origin;
  const authority =
    hostHeader === 'origin' ? own : hostHeader === 'client' ? asKeyed(host) : hostHeader;
  const added = Object.entries(requestFields);
  const replaced = new Set(added.map(([name]) => name.toLowerCase()));
  const kept = added.length === 0 ? fields : withoutFields(fields, (name) => replaced.has(name));
  const key = signing && { id: signing.keyId, secret: signing.secret };
  return [
    'Host',
    authority,
    ...kept,
    ...added.flat(),
    ...(key === undefined ? [] : signatureFields({ method, authority, target }, key, now)),
  ];
}

/** As the key has it: what is not part of it would be reflected to others. */
const asKeyed = (authority: string): string =>
  authority.toLowerCase().replace(/:\d*$/, '').replace(/\.$/, '');

/** What a client told this site, it did not tell the host that the site redirects to. */
const isSecret = (name: string): boolean => name === 'authorization' || name === 'cookie';

/** Where an answer of a customer's server leads, if it is to be gone to in the client's place. */
export function redirected(
  origin: PullOrigin,
  method: string,
  target: string,
  answer: UpstreamResponse,
): { readonly parent: Parent; readonly target: string } | undefined {
  if (answer.parent.tier !== 'customer') return undefined;
  const from: RedirectTarget = { origin: new URL(answer.parent.url).origin, target };
  const to = redirectTarget(method, answer, from, origin.redirects.hosts);
  if (to === undefined) return undefined;
  const known = origin.servers.some(({ url }) => new URL(url).origin === to.origin);
  const parent: Parent = {
    name: to.origin,
    url: to.origin,
    tier: 'customer',
    isElsewhere: !known,
    connection: known ? origin : { ...origin, tls: withoutName(origin.tls) },
  };
  return { parent, target: to.target };
}

/** Another host has a name of its own. */
const withoutName = ({ verify, ca }: PullOrigin['tls']): PullOrigin['tls'] => ({
  verify,
  ...(ca !== undefined && { ca }),
});
