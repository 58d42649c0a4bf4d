import type { Lookup } from '#core/cache/engine.ts';
import { cacheKey } from '#core/cache/key.ts';
import { ALL_CODINGS } from '#core/cache/policy/coding.ts';
import { foldedRequest, keySelector } from '#core/cache/policy/keying.ts';
import type { ServedSite } from '#core/cache/served-site.ts';
import { withSourceTags } from '#core/http/coded-tag.ts';
import { withField } from '#core/http/fields.ts';
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
  shaping?: Lookup['shaping'],
): Lookup {
  const { keying } = site;
  const folded = keying.foldTarget(received.target);
  const asked = foldedRequest(keying, received, folded, country);
  const request = site.coding === undefined ? asked : inAnyCoding(asked);
  return {
    site,
    key: cacheKey(site, request, folded),
    keySelector: keySelector(keying.inputs, request.fields),
    keyedBy: keying.keyedBy,
    request,
    upstreamFields: () => forwardedFields(upstreamRequest(site, request), forwardedBy),
    client,
    shaping,
    fromTier: false,
    askingFence: 0,
    changed: false,
  };
}

/**
 * Edges of a site that compresses make what each client takes of one representation, so that caches
 * and origins are asked for any. What no cache answers goes up as it came.
 */
function inAnyCoding(request: ClientRequest): ClientRequest {
  const { method, hasContent, upgrade, fields } = request;
  const isShared = (method === 'GET' || method === 'HEAD') && !hasContent && upgrade === undefined;
  return isShared
    ? { ...request, fields: withField(fields, 'Accept-Encoding', ALL_CODINGS) }
    : request;
}

/** With the tags that the origin gave in place of those that were made of them. */
const upstreamRequest = ({ coding, images }: ServedSite, request: ClientRequest): ClientRequest =>
  coding === undefined && !images.enabled
    ? request
    : { ...request, fields: withSourceTags(request.fields) };
