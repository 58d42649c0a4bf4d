import type { Lookup } from '#core/cache/engine.ts';
import { cacheKey } from '#core/cache/key.ts';
import { foldedRequest, keySelector } from '#core/cache/policy/keying.ts';
import type { ServedSite } from '#core/cache/served-site.ts';
import type { ClientRequest } from '#core/http/request.ts';
import { forwardedFields } from '#core/tree/forward.ts';
import type { TierNode } from './tier-node.ts';

/**
 * A client's request as the cache is to look for it.
 * @param country of the client, asked for only where the key has it
 */
export function clientLookup(
  { forwardedBy }: Pick<TierNode, 'forwardedBy'>,
  client: Lookup['client'],
  received: ClientRequest,
  site: ServedSite,
  country: () => string,
): Lookup {
  const { keying } = site;
  const folded = keying.foldTarget(received.target);
  const request = foldedRequest(keying, received, folded, country);
  return {
    site,
    key: cacheKey(site, request, folded),
    keySelector: keySelector(keying.inputs, request.fields),
    keyedBy: keying.keyedBy,
    request,
    upstreamFields: () => forwardedFields(request, forwardedBy),
    client,
    fromTier: false,
    askingFence: 0,
    changed: false,
  };
}
