import type { Answer } from '#core/cache/answer.ts';
import { carryOut } from '#core/cache/carry-out.ts';
import type { ServedSite } from '#core/cache/served-site.ts';
import { decidedOutcome } from '#core/telemetry/cache-status.ts';
import type { Decision } from '#core/cache/policy/decide.ts';
import { CanopyError } from '#core/errors.ts';
import { type ClientRequest, readRequest } from '#core/http/request.ts';
import { clientLookup } from '#core/serving/client-lookup.ts';
import { deliver, failureAnswer, ownAnswer } from '#core/serving/deliver.ts';
import { withoutTags } from '#core/http/tags.ts';
import { answerEcho } from '#core/serving/echo.ts';
import type { Exchange, Serving } from '#core/serving/exchange.ts';
import { record } from '#core/serving/record.ts';
import type { TierNode } from '#core/serving/tier-node.ts';
import { isLoop, withClient } from '#core/tree/forward.ts';
import { EdgeFunctions } from './functions/functions.ts';
import type { Admission } from './guards/admission.ts';
import { Guards } from './guards/guards.ts';
import { RuledRequest } from './ruled.ts';
import { challengeAnswer, redirectToTls, requireClientCertificate } from './tls.ts';

/** What answers the requests of clients in one thread of an edge. */
export function serveClients(node: TierNode, onError: (error: unknown) => void): Serving {
  const guards = new Guards(node);
  const functions = new EdgeFunctions(node, onError);
  return {
    handle: (exchange) => handleRequest(node, guards, functions, exchange),
    sample: (samples) => {
      guards.sample(samples);
      functions.sample(samples);
    },
    close: () => {
      guards.close();
      return functions.close();
    },
  };
}

/** A client's request, from its arrival to its record. */
async function handleRequest(
  edge: TierNode,
  guards: Guards,
  functions: EdgeFunctions,
  exchange: Exchange,
): Promise<void> {
  const arrivedAtMs = edge.clock.monotonicMs();
  const echo = answerEcho(edge, exchange);
  if (echo !== undefined) return void (await echo);
  let site: ServedSite | undefined;
  let admission: Admission | undefined;
  let decision: Decision | undefined;
  let answer: Answer;
  try {
    const client = edge.trustedProxies.client(exchange.peerAddress, exchange.received.fields);
    const asked = withClient(readRequest(exchange.received), client); // accept
    site = siteOf(edge, asked);
    const received = underOwnHost(site, asked);
    const own =
      ownAnswer(received) ?? challengeAnswer(edge, received) ?? redirectToTls(edge, site, received);
    if (own !== undefined) answer = own;
    else {
      const ruled = RuledRequest.of(site, received, client.address, edge);
      const guarded = guard(edge, guards, exchange, site, received, ruled);
      admission = guarded instanceof Promise ? await guarded : guarded;
      const admitted = admission?.request(received) ?? received;
      const changed = ruled?.change(admitted, functions) ?? admitted;
      const request = changed instanceof Promise ? await changed : changed;
      if ('outcome' in request) answer = request;
      else {
        const country = (): string => edge.countryOf(client.address);
        const lookup = clientLookup(edge, exchange, request, site, country);
        const found = edge.engine.lookUp(lookup);
        decision = edge.engine.decide(lookup, found);
        if (site.tls.earlyHints) hint(edge, exchange, request, decision);
        // serve, refresh behind, revalidate, fill or wait; what a fill brings is stored as it ends
        const carried = carryOut({ engine: edge.engine, lookup, found, decision, exchange });
        const stored = carried instanceof Promise ? await carried : carried;
        const ours = shape(edge, site, request, admission?.answered(stored) ?? stored);
        const shaped = ruled?.shape(ours, request, functions) ?? ours;
        answer = shaped instanceof Promise ? await shaped : shaped;
      }
    }
  } catch (error) {
    answer = failureAnswer(error, decidedOutcome(decision), false);
  }
  const firstByteMs = edge.clock.monotonicMs() - arrivedAtMs;
  const signature = { node: edge.name, toTier: false, now: edge.clock.now() };
  const sending = deliver(exchange, answer, signature);
  const sent = await (admission === undefined ? sending : admission.during(sending));
  record(edge, { exchange, site, answer, sent, arrivedAtMs, firstByteMs });
}

function siteOf({ sites }: TierNode, { host }: ClientRequest): ServedSite {
  const site = sites.byHost(host);
  if (site === undefined) throw new CanopyError('unknown-host', `No site has the host ${host}`);
  return site;
}

/** A client that a router sent here by a name of the network's asks for the site all the same. */
function underOwnHost({ ownHost }: ServedSite, request: ClientRequest): ClientRequest {
  const host = ownHost(request.host);
  return host === request.host ? request : { ...request, host, authority: host };
}

function guard(
  { forwardedBy }: TierNode,
  guards: Guards,
  exchange: Exchange,
  site: ServedSite,
  { fields }: ClientRequest,
  ruled: RuledRequest | undefined,
): ReturnType<Guards['admit']> {
  requireClientCertificate(site, exchange);
  ruled?.guard();
  if (isLoop(fields, forwardedBy)) {
    throw new CanopyError('loop-detected', 'This edge has passed the request on before');
  }
  return ruled && guards.admit(ruled, exchange);
}

/** While the client waits for a parent, it may fetch what this page linked to before. */
function hint(
  { earlyHints }: TierNode,
  exchange: Exchange,
  { method, host, target }: ClientRequest,
  { action }: Decision,
): void {
  if (method !== 'GET' || action === 'serve') return;
  const links = earlyHints.of(host, target);
  if (links !== undefined) exchange.inform(103, links);
}

function shape(
  { earlyHints }: TierNode,
  { cache, secureFields, tls }: ServedSite,
  { scheme, host, target }: ClientRequest,
  answer: Answer,
): Answer {
  if (tls.earlyHints) earlyHints.learn(host, target, answer.status, answer.fields);
  const secured = scheme === 'https' ? secureFields : NOTHING;
  if (cache.exposeTags && secured.length === 0) return answer;
  const fields = cache.exposeTags ? answer.fields : withoutTags(answer.fields);
  return { ...answer, fields: [...fields, ...secured] };
}

const NOTHING: readonly string[] = [];
