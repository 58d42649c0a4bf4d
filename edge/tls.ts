import type { Answer } from '#core/cache/answer.ts';
import type { ServedSite } from '#core/cache/served-site.ts';
import { CanopyError } from '#core/errors.ts';
import type { ClientRequest } from '#core/http/request.ts';
import { secureUrl } from '#core/http/secure-transport.ts';
import { REFUSED } from '#core/serving/deliver.ts';
import type { Exchange } from '#core/serving/exchange.ts';
import type { TierNode } from '#core/serving/tier-node.ts';

const CHALLENGE_PATH = '/.well-known/acme-challenge/';

/** What an authority wants to find at a name that it certifies (RFC 8555 §8.3), whichever edge it asks. */
export function challengeAnswer(edge: TierNode, { target }: ClientRequest): Answer | undefined {
  if (!target.startsWith(CHALLENGE_PATH)) return undefined;
  const answer = edge.challengeAnswer(target.slice(CHALLENGE_PATH.length));
  if (answer === undefined) return undefined;
  return ownAnswer(200, 'acme-challenge', ['Content-Type', 'application/octet-stream'], answer);
}

/** @throws CanopyError `client-certificate-required` where the site asks for one and there is none that holds */
export function requireClientCertificate({ tls }: ServedSite, { verifiedBy }: Exchange): void {
  if (tls.clientAuthorities === null || verifiedBy === tls.clientAuthorities) return;
  throw new CanopyError(
    'client-certificate-required',
    "The client has not proved itself by a certificate of the site's authorities, on a connection to the site",
  );
}

/** Sends a client that came by plain HTTP to the same URL over TLS. */
export function redirectToTls(
  edge: TierNode,
  { tls }: ServedSite,
  { scheme, method, authority, host, target }: ClientRequest,
): Answer | undefined {
  if (!tls.redirect || scheme === 'https') return undefined;
  const location = secureUrl(authority, host, target === '*' ? '/' : target, edge.tlsPort);
  // RFC 9110 §15.4.2: only 308 keeps the method.
  const status = method === 'GET' || method === 'HEAD' ? 301 : 308;
  return ownAnswer(status, 'https-redirect', ['Location', location]);
}

function ownAnswer(status: number, detail: string, fields: readonly string[], text = ''): Answer {
  const body = Buffer.from(text);
  return {
    status,
    fields: [...fields, 'Content-Length', String(body.length)],
    content: body.length === 0 ? [] : [body],
    outcome: { ...REFUSED, detail },
    asOf: 0,
  };
}
