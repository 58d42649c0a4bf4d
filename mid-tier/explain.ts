import { cacheKey } from '#core/cache/key.ts';
import type { Lookup } from '#core/cache/engine.ts';
import { inputsFrom, keySelector } from '#core/cache/policy/keying.ts';
import { type ServedSite, siteAt } from '#core/cache/served-site.ts';
import type { ExplainAsked, Explained, KeyInput, TierAsked } from '#core/contract/explain.ts';
import { selecting } from '#core/explain/key-inputs.ts';
import { explainedBefore, explainLookup } from '#core/explain/lookup.ts';
import type { ClientRequest } from '#core/http/request.ts';
import type { TierNode } from '#core/serving/tier-node.ts';
import { forwardedFields } from '#core/tree/forward.ts';

const UNKNOWN = { site: null, hostPattern: null, rules: [], guards: [], inputs: [] };

/** What one thread of a mid-tier would do with what an edge would ask of it. */
export async function explainEdge(midTier: TierNode, asked: ExplainAsked): Promise<Explained> {
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
    inputs: inputsOf(lookup, asked),
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

function inputsOf({ request, site }: Lookup, { keyedBy }: TierAsked): KeyInput[] {
  const { scheme, host, target } = request;
  const why = 'as the asking node has it';
  const isPull = site.origin.kind === 'pull';
  const input = (part: KeyInput['part'], value: string, counts = true): KeyInput => ({
    part,
    name: null,
    value,
    counts,
    why,
  });
  return [
    input('site', site.name),
    input('scheme', scheme, isPull),
    input('host', host, isPull),
    input('path', target),
    ...selecting(inputsFrom(keyedBy), request.fields),
  ];
}
