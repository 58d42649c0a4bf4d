import type { Answer } from '#core/cache/answer.ts';
import { carryOut } from '#core/cache/carry-out.ts';
import type { ServedSite } from '#core/cache/served-site.ts';
import { decidedOutcome } from '#core/telemetry/cache-status.ts';
import type { Decision } from '#core/cache/policy/decide.ts';
import type { ExplainAsked, Explained } from '#core/contract/explain.ts';
import { CanopyError } from '#core/errors.ts';
import { TierExplainer } from '#core/explain/between-tiers.ts';
import { type ClientRequest, readRequest } from '#core/http/request.ts';
import { clientLookup } from '#core/serving/client-lookup.ts';
import { deliver, failureAnswer, ownAnswer } from '#core/serving/deliver.ts';
import { answerEcho } from '#core/serving/echo.ts';
import { answerHealth } from '#core/serving/health.ts';
import type { Exchange, Serving } from '#core/serving/exchange.ts';
import { record } from '#core/serving/record.ts';
import type { TierNode } from '#core/serving/tier-node.ts';
import { isLoop, withClient } from '#core/tree/forward.ts';
import { limitContent } from './content.ts';
import { withErrorPage } from './error-page.ts';
import { explainClient } from './explain.ts';
import { orElse } from './fallback.ts';
import { EdgeFunctions } from './functions/functions.ts';
import type { Admission } from './guards/admission.ts';
import { Guards } from './guards/guards.ts';
import { HitLane } from './lane/lane.ts';
import { answerOf } from './own-answer.ts';
import { RuledRequest } from './ruled.ts';
import { hint, ourFields } from './site-fields.ts';
import { shapingFor } from './shaping.ts';
import { Telling, wantsToBeTold } from './told.ts';
import { challengeAnswer, redirectToTls, requireClientCertificate } from './tls.ts';

/** What answers the requests of clients in one thread of an edge. */
export function serveClients(node: TierNode, onError: (error: unknown) => void): Serving {
  const guards = new Guards(node);
  const functions = new EdgeFunctions(node, onError);
  const others = new TierExplainer(node.clock);
  const explain = (asked: ExplainAsked): Promise<Explained> => explainClient(edge, asked);
  const edge: Edge = {
    node,
    guards,
    functions,
    telling: new Telling(node, others, (asked) => node.explainedByAll(asked, explain)),
  };
  const lane = new HitLane(node, guards);
  return {
    handle: (exchange) => handleRequest(edge, exchange),
    explain,
    lane,
    sample: (samples) => {
      guards.sample(samples);
      functions.sample(samples);
      lane.sample(samples);
    },
    close: async () => {
      guards.close();
      await Promise.all([functions.close(), others.close()]);
    },
  };
}

interface Edge {
  readonly node: TierNode;
  readonly guards: Guards;
  readonly functions: EdgeFunctions;
  readonly telling: Telling;
}

/** How far a request has come, for when it fails on its way. */
interface Course {
  /** Of the client. */
  address: string;
  site?: ServedSite;
  received?: ClientRequest;
  ruled?: RuledRequest;
  /** What it has under way as its guards count it. */
  admission?: Admission;
  decision?: Decision;
}

/** A client's request, from its arrival to its record. */
async function handleRequest(edge: Edge, exchange: Exchange): Promise<void> {
  const { node } = edge;
  const arrivedAtMs = node.clock.monotonicMs();
  // Before there is a site: routers ask, by the edge's own address.
  const own = answerHealth(exchange) ?? answerEcho(node, exchange);
  if (own !== undefined) return void (await own);
  const told = wantsToBeTold(exchange) ? await edge.telling.fieldsFor(exchange) : undefined;
  const course: Course = { address: exchange.peerAddress };
  let answer: Answer;
  try {
    const answered = answerTo(edge, exchange, course);
    answer = answered instanceof Promise ? await answered : answered;
  } catch (error) {
    // At once where it may be: what is malformed is answered before anything behind it is read.
    const said = failed(edge, exchange, course, error);
    answer = said instanceof Promise ? await said : said;
  }
  if (told !== undefined) answer = { ...answer, fields: [...answer.fields, ...told] };
  const firstByteMs = node.clock.monotonicMs() - arrivedAtMs;
  const signature = { node: node.name, toTier: false, now: node.clock.now() };
  const { site, admission } = course;
  const sending = deliver(exchange, answer, signature);
  const sent = await (admission?.during(sending) ?? sending);
  record(node, { exchange, site, answer, sent, arrivedAtMs, firstByteMs });
}

/** Accept, site, guard; what no rule is for goes on at once. */
function answerTo(edge: Edge, exchange: Exchange, course: Course): Answer | Promise<Answer> {
  const { node } = edge;
  const client = node.trustedProxies.client(exchange.peerAddress, exchange.received.fields);
  course.address = client.address;
  const asked = withClient(readRequest(exchange.received), client);
  const site = siteOf(node, asked);
  const received = underOwnHost(site, asked);
  course.site = site;
  course.received = received;
  const own =
    ownAnswer(received) ?? challengeAnswer(node, received) ?? redirectToTls(node, site, received);
  if (own !== undefined) return own;
  guard(node, exchange, site, received);
  const ruled = RuledRequest.of(site, received, client.address, node);
  if (ruled !== undefined) return answerRuled(edge, exchange, course, received, ruled);
  const cached = fromCache(node, exchange, course, site, received);
  return cached instanceof Promise
    ? cached.then((answer) => ourFields(node, site, received, answer))
    : ourFields(node, site, received, cached);
}

/** Guard, key and shape as the rules of the site have it. */
async function answerRuled(
  { node, guards, functions }: Edge,
  exchange: Exchange,
  course: Course,
  received: ClientRequest,
  ruled: RuledRequest,
): Promise<Answer> {
  const { main, site } = ruled;
  course.ruled = ruled;
  ruled.guard();
  // A preflight proves nothing of who asks, so it comes before the guards.
  const preflight = ruled.preflight();
  const admission = preflight === undefined ? await guards.admit(ruled, exchange) : undefined;
  if (admission !== undefined) course.admission = admission;
  const said = preflight ?? ruled.ownAnswer();
  if (said !== undefined) {
    return ruled.shape(ourFields(node, main, received, answerOf(said, received)));
  }
  const request = await ruled.change(admission?.request(received) ?? received, functions);
  if ('outcome' in request) return ruled.shape(ourFields(node, main, received, request));
  let cached = fromCache(node, exchange, course, site, request);
  if (ruled.fallsBack) {
    const toMain = RuledRequest.toMain(request);
    cached = orElse(main, request, cached, () => fromCache(node, exchange, course, main, toMain));
  }
  const carried = await cached;
  let answer = admission?.answered(carried) ?? carried;
  if (answer.status >= 400) {
    answer = await withErrorPage(node, exchange, received, ruled, answer, undefined);
  }
  return ruled.finish(ourFields(node, site, request, answer), request, functions);
}

/**
 * Key, look up, decide; then serve, refresh behind, revalidate, fill or wait. What a fill brings is
 * stored as it ends.
 */
function fromCache(
  node: TierNode,
  exchange: Exchange,
  course: Course,
  site: ServedSite,
  request: ClientRequest,
): Answer | Promise<Answer> {
  const { engine } = node;
  const form = shapingFor(node, site, request, course.ruled?.mayCompress ?? true);
  const wanted = form?.wanted ?? request;
  const country = (): string => node.countryOf(course.address);
  const lookup = clientLookup(node, exchange, wanted, site, country, form?.shaping);
  const found = engine.lookUp(lookup);
  const decision = engine.decide(lookup, found);
  course.decision = decision;
  if (site.tls.earlyHints) hint(node, exchange, request, decision);
  return carryOut({ engine, lookup, found, decision, exchange });
}

function failed(
  { node }: Edge,
  exchange: Exchange,
  { received, ruled, decision }: Course,
  error: unknown,
): Answer | Promise<Answer> {
  const answer = failureAnswer(error, decidedOutcome(decision), false);
  if (received === undefined || ruled === undefined) return answer;
  const code = error instanceof CanopyError ? error.code : 'internal-error';
  const page = withErrorPage(node, exchange, received, ruled, answer, code);
  return page.then((shown) => ruled.shape(shown));
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
  exchange: Exchange,
  site: ServedSite,
  { fields, hasContent }: ClientRequest,
): void {
  requireClientCertificate(site, exchange);
  if (isLoop(fields, forwardedBy)) {
    throw new CanopyError('loop-detected', 'This edge has passed the request on before');
  }
  if (hasContent) limitContent(site, exchange);
}
