import type { UpstreamResponse } from '#core/tree/attempt.ts';
import { vouchedBy } from '#core/tree/vouched.ts';
import { type Answer, answerFromUpstream } from './answer.ts';
import { type Carried, outcomeOf } from './carried.ts';
import { sizeOf } from './object.ts';
import { headVerdict } from './policy/head.ts';
import { invalidated } from './policy/invalidation.ts';

/** Has the origin answer just what the client asked, where nothing here can be made to suit it. */
export function askOrigin(carried: Carried): Promise<Answer> {
  const { lookup, decision } = carried;
  return pass({
    ...carried,
    lookup: lookup.shaping?.asAsked(lookup) ?? lookup,
    decision: { ...decision, action: 'pass', reason: 'request' },
  });
}

/** Has a parent answer one client alone. */
export async function pass(carried: Carried): Promise<Answer> {
  const { engine, lookup, exchange } = carried;
  const { site, key, keyedBy, request, askingFence } = lookup;
  const passed = await engine.tree.fetch({
    site,
    key,
    keyedBy,
    method: request.method,
    target: request.target,
    fields: lookup.upstreamFields(),
    host: request.authority,
    content: request.hasContent ? exchange.content : undefined,
    fence: Math.max(askingFence, engine.fence.sequence),
    changed: false,
    signal: exchange.signal,
    upgrade: request.upgrade,
    expectsContinue: request.hasContent && request.expectsContinue,
    onInterim: (status, fields) => lookup.client.inform(status, fields),
  });
  const response = await engine.caughtUp(site, passed);
  const changed = isOutdated(carried, response)
    ? [{ target: request.target }]
    : invalidated(request, response.status, response.fields);
  if (changed.length > 0) {
    const targets = changed.map(({ target }) => target);
    for (const target of targets) engine.invalidate(site, request.host, target);
    await engine.tellThreads({ site: site.name, host: request.host, targets });
  }
  const upstream = answerFromUpstream(response);
  const answer = lookup.shaping?.passed(engine, lookup, upstream) ?? upstream;
  if (answer === 'ask-origin') {
    response.discard();
    return askOrigin(carried);
  }
  return {
    ...answer,
    outcome: outcomeOf(carried, { forwardStatus: response.status, tries: response.tries }),
    asOf: Math.max(askingFence, vouchedBy(response) ?? 0),
  };
}

/**
 * Whether a HEAD that was passed on has shown what is stored to be outdated (RFC 9111 §4.3.5). It
 * renews nothing: where it was passed on with something stored, it came with content, by which one
 * client could have an answer made for it that others would then get.
 */
function isOutdated(
  { engine, lookup }: Carried,
  { status, fields, requestedAt }: UpstreamResponse,
): boolean {
  if (lookup.request.method !== 'HEAD' || status !== 200) return false;
  const stored = engine.lookUp(lookup);
  if (typeof stored === 'string' || stored.receivedAt > requestedAt) return false;
  return (
    stored.facts.status === 200 && headVerdict(stored.fields, sizeOf(stored), fields) === 'other'
  );
}
