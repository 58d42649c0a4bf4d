import type { Answer } from '#core/cache/answer.ts';
import { carryOut } from '#core/cache/carry-out.ts';
import type { Lookup } from '#core/cache/engine.ts';
import { cacheKey } from '#core/cache/key.ts';
import { inputsFrom, keySelector } from '#core/cache/policy/keying.ts';
import { type ServedSite, siteAt } from '#core/cache/served-site.ts';
import type { Decision } from '#core/cache/policy/decide.ts';
import type { ExplainAsked, Explained } from '#core/contract/explain.ts';
import { CanopyError } from '#core/errors.ts';
import { parseDeltaSeconds } from '#core/http/directives.ts';
import { answerTierExplain, isTierExplain } from '#core/explain/between-tiers.ts';
import { fieldValue } from '#core/http/fields.ts';
import { type ClientRequest, readRequest } from '#core/http/request.ts';
import { deliver, failureAnswer, ownAnswer } from '#core/serving/deliver.ts';
import type { Exchange, Serving } from '#core/serving/exchange.ts';
import { answerHealth } from '#core/serving/health.ts';
import { record } from '#core/serving/record.ts';
import type { TierNode } from '#core/serving/tier-node.ts';
import { decidedOutcome } from '#core/telemetry/cache-status.ts';
import { forwardedFields, isLoop } from '#core/tree/forward.ts';
import { TIER_FIELDS } from '#core/tree/tier-fields.ts';
import { isTierKey } from '#core/tree/tier-key.ts';
import { explainEdge } from './explain.ts';

/** How long an edge that is ahead of us waits for our own link to catch up before we ask upward. */
const FENCE_WAIT_MS = 250;

/** What answers the requests of edges in one thread of a mid-tier. */
export const serveEdges = (midTier: TierNode): Serving => ({
  handle: (exchange) => handleRequest(midTier, exchange),
  explain: explainEdge(midTier),
});

/** An edge's request, from its arrival to its record. */
async function handleRequest(midTier: TierNode, exchange: Exchange): Promise<void> {
  const health = answerHealth(exchange);
  if (health !== undefined) return void (await health);
  if (isTierExplain(exchange)) {
    const explain = (asked: ExplainAsked): Promise<Explained> =>
      midTier.explainedByAll(asked, explainEdge(midTier));
    return void (await answerTierExplain(exchange, midTier.config.network, explain));
  }
  const arrivedAtMs = midTier.clock.monotonicMs();
  let site: ServedSite | undefined;
  let decision: Decision | undefined;
  let answer: Answer;
  try {
    const request = fromEdge(readRequest(exchange.received)); // accept
    guard(midTier, request);
    site = siteOf(midTier, request);
    const own = ownAnswer(request);
    if (own !== undefined) answer = own;
    else {
      const lookup = keyed(midTier, exchange, request, site);
      await midTier.reachesFence(lookup.askingFence, FENCE_WAIT_MS);
      const found = midTier.engine.lookUp(lookup);
      decision = midTier.engine.decide(lookup, found);
      answer = await carryOut({ engine: midTier.engine, lookup, found, decision, exchange });
    }
  } catch (error) {
    answer = failureAnswer(error, decidedOutcome(decision), true);
  }
  const firstByteMs = midTier.clock.monotonicMs() - arrivedAtMs;
  const sent = await deliver(exchange, answer, {
    node: midTier.name,
    toTier: true,
    now: midTier.clock.now(),
  });
  record(midTier, { exchange, site, answer, sent, arrivedAtMs, firstByteMs });
}

/** Between tiers the connection says nothing of the client's: the edge tells what scheme it used. */
function fromEdge(request: ClientRequest): ClientRequest {
  const encrypted = fieldValue(request.fields, 'x-forwarded-proto') === 'https';
  return { ...request, scheme: encrypted ? 'https' : 'http' };
}

function guard({ config, forwardedBy }: TierNode, { fields }: ClientRequest): void {
  if (!isTierKey(tierField(fields, 'key'), config.network)) {
    throw new CanopyError('forbidden', 'Only nodes of this network are served here');
  }
  if (isLoop(fields, forwardedBy)) {
    throw new CanopyError('loop-detected', 'This mid-tier has passed the request on before');
  }
}

function siteOf({ sites }: TierNode, { fields }: ClientRequest): ServedSite {
  const name = tierField(fields, 'site') ?? '';
  const site = sites.byName(name);
  const originName = tierField(fields, 'origin');
  const served = site && siteAt(site, originName);
  // The edge may have heard of it before us; it walks on.
  if (served === undefined) {
    const what = site === undefined ? `site ${name}` : `origin ${originName} of site ${name}`;
    throw new CanopyError('unavailable', `No ${what} is known here yet`);
  }
  return served;
}

/** An edge has folded the request: its key is taken as it came, whichever settings have reached us. */
function keyed(
  { forwardedBy }: TierNode,
  exchange: Exchange,
  request: ClientRequest,
  site: ServedSite,
): Lookup {
  const keyedBy = tierField(request.fields, 'keyedBy') ?? '';
  return {
    site,
    key: cacheKey(site, request),
    keySelector: keySelector(inputsFrom(keyedBy), request.fields),
    keyedBy,
    request,
    upstreamFields: () => forwardedFields(request, forwardedBy),
    client: exchange,
    fromTier: true,
    changed: tierField(request.fields, 'changed') !== undefined,
    heldOnly: tierField(request.fields, 'held') !== undefined,
    askingFence: parseDeltaSeconds(tierField(request.fields, 'fence')) ?? 0,
  };
}

const tierField = (
  fields: ClientRequest['fields'],
  name: keyof typeof TIER_FIELDS,
): string | undefined => fieldValue(fields, TIER_FIELDS[name].toLowerCase());
