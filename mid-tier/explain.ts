import { cacheKey } from '#core/cache/key.ts';
import type { Lookup } from '#core/cache/engine.ts';
import { inputsFrom, keySelector } from '#core/cache/policy/keying.ts';
import { type ServedSite, siteAt } from '#core/cache/served-site.ts';
import type { ExplainAsked, Explained, TierAsked } from '#core/contract/explain.ts';
import { selecting } from '#core/explain/key-inputs.ts';
import { explainedBefore, explainLookup } from '#core/explain/lookup.ts';
import type { ClientRequest } from '#core/http/request.ts';
import type { TierNode } from '#core/serving/tier-node.ts';
import { forwardedFields } from '#core/tree/forward.ts';

const UNKNOWN = { site: null, hostPattern: null, rules: [], guards: [], inputs: [] };

/** What one thread of a mid-tier would do with what an edge would ask of it. */
export const explainEdge =
  (midTier: TierNode) =>
  (asked: ExplainAsked): Promise<Explained> =>
    explained(midTier, asked);

async function explained(midTier: TierNode, asked: ExplainAsked): Promise<Explained> {
  if (asked.as !== 'tier') {
    return explainedBefore(midTier, UNKNOWN, {
      verdict: 'refused',
      reason: 'forbidden',
      because: 'only nodes of the network are served here',
      status: 403,
    });
  }
  const main = midTier.sites.byName(asked.site);
  const site = main && siteAt(main, asked.originName);
  if (site === undefined) {
    return explainedBefore(midTier, UNKNOWN, {
      verdict: 'refused',
      reason: 'unavailable',
      because: `no site ${asked.site} is known here yet, so that the edge asks its next parent`,
      status: 503,
    });
  }
  const lookup = keyed(midTier, asked, site);
  return explainLookup(midTier, lookup, {
    site: site.name,
    hostPattern: null,
    rules: [],
    guards: [],
    // The URL is folded already: the asking node says how.
    inputs: selecting(inputsFrom(asked.keyedBy), asked.fields),
  });
}

/** As `request.ts` keys it. */
function keyed({ forwardedBy }: TierNode, asked: TierAsked, site: ServedSite): Lookup {
  const { method, scheme, host, target, fields, keyedBy, fence } = asked;
  const request: ClientRequest = {
    method,
    scheme,
    authority: host,
    host: host.replace(/:\d*$/, ''),
    target,
    fields,
    hasContent: false,
    upgrade: undefined,
    expectsContinue: false,
  };
  return {
    site,
    key: cacheKey(site, request),
    keySelector: keySelector(inputsFrom(keyedBy), fields),
    keyedBy,
    request,
    upstreamFields: () => forwardedFields(request, forwardedBy),
    client: { inform: () => undefined },
    fromTier: true,
    askingFence: fence,
    changed: false,
  };
}
