import type { Lookup } from '#core/cache/engine.ts';
import type { ServedSite } from '#core/cache/served-site.ts';
import type { ClientAsked, ExplainAsked, Explained, RuleFared } from '#core/contract/explain.ts';
import { CanopyError } from '#core/errors.ts';
import { keyInputs } from '#core/explain/key-inputs.ts';
import { type Before, explainedBefore, explainLookup } from '#core/explain/lookup.ts';
import { type ClientRequest, readRequest } from '#core/http/request.ts';
import { actionsOf } from '#core/rules/action-names.ts';
import type { AnswerFacts } from '#core/rules/facts.ts';
import { clientLookup } from '#core/serving/client-lookup.ts';
import { ownAnswer } from '#core/serving/deliver.ts';
import type { TierNode } from '#core/serving/tier-node.ts';
import { patternFor } from '#core/sites.ts';
import { isLoop, withClient } from '#core/tree/forward.ts';
import { withoutCredentials } from './guards/admission.ts';
import type { Foreseen, Guards } from './guards/guards.ts';
import { RuledRequest } from './ruled.ts';
import { shapingFor } from './shaping.ts';
import { challengeAnswer, redirectToTls } from './tls.ts';

interface Edge {
  readonly node: TierNode;
  readonly guards: Pick<Guards, 'foresee'>;
}

const NOTHING: Before = { site: null, hostPattern: null, rules: [], guards: [], inputs: [] };

/**
 * What one thread of an edge would do with a client's request, in the order of `request.ts`. Nothing is
 * counted, given, stored or asked for.
 */
export async function explainClient(edge: Edge, asked: ExplainAsked): Promise<Explained> {
  const { node } = edge;
  const course: { before: Before } = { before: NOTHING };
  try {
    if (asked.as !== 'client') throw new CanopyError('forbidden', 'Edges answer clients alone');
    return await explained(edge, asked, course);
  } catch (error) {
    if (!(error instanceof CanopyError)) throw error;
    const { code, message, status } = error;
    const because = `${message} (${code})`;
    return explainedBefore(node, course.before, {
      verdict: 'refused',
      reason: code,
      because,
      status,
    });
  }
}

async function explained(
  { node, guards }: Edge,
  asked: ClientAsked,
  course: { before: Before },
): Promise<Explained> {
  const { method, target, scheme, authority, address } = asked;
  const fields = ['Host', authority, ...asked.fields];
  const encrypted = scheme === 'https';
  const read = withClient(readRequest({ method, target, fields, encrypted }), { address, scheme });
  const site = node.sites.byHost(read.host);
  if (site === undefined)
    throw new CanopyError('unknown-host', `No site has the host ${read.host}`);
  const host = site.ownHost(read.host);
  const received = host === read.host ? read : { ...read, host, authority: host };
  course.before = { ...NOTHING, site: site.name, hostPattern: patternFor(site.hosts, read.host) };
  const own =
    ownAnswer(received) ?? challengeAnswer(node, received) ?? redirectToTls(node, site, received);
  if (own !== undefined) {
    const reason = own.outcome.detail ?? own.outcome.reason;
    return ownExplained(node, course.before, own.status, reason, 'the edge answers this by itself');
  }
  if (isLoop(received.fields, node.forwardedBy)) {
    throw new CanopyError('loop-detected', 'This edge has passed the request on before');
  }
  course.before = { ...course.before, guards: certificatesOf(site) };
  // Nobody is given anything to be known by.
  const places = {
    countryOf: (of: string) => node.countryOf(of),
    asnOf: (of: string) => node.asnOf(of),
  };
  const ruled = RuledRequest.of(site, received, address, places);
  if (ruled === undefined) {
    return ofCache(node, site, { asked, received, changed: received }, course.before, true);
  }
  course.before = { ...course.before, rules: rulesOf(ruled, undefined) };
  ruled.guard();
  const preflight = ruled.preflight();
  if (preflight === undefined) {
    const fared = [...guards.foresee(ruled), ...functionsOf(ruled)];
    course.before = {
      ...course.before,
      guards: [
        ...course.before.guards,
        ...fared.map(({ guard, admits, why }) => ({ guard, admits, why })),
      ],
    };
    const refusing = fared.find(({ error }) => error !== undefined)?.error;
    if (refusing !== undefined) throw refusing;
  }
  const said = preflight ?? ruled.ownAnswer();
  if (said !== undefined) {
    return ownExplained(node, course.before, said.status, said.detail, 'a rule answers this');
  }
  const changed = ruled.changed(withoutCredentials(ruled.actions, received));
  return ofCache(
    node,
    ruled.site,
    { asked, received, changed },
    course.before,
    ruled.mayCompress,
    ruled,
  );
}

const certificatesOf = ({ tls }: ServedSite): Before['guards'] =>
  tls.clientAuthorities === null
    ? []
    : [
        {
          guard: 'tls.clientAuthorities',
          admits: null,
          why: 'clients have to prove themselves by a certificate; this question has none',
        },
      ];

const functionsOf = ({ actions }: RuledRequest): readonly Foreseen[] =>
  actions.function.map((name) => ({
    guard: 'function',
    admits: null,
    why: `${name} may answer the request or change it; it is not run for this question`,
  }));

const ownExplained = (
  node: TierNode,
  before: Before,
  status: number,
  reason: string,
  because: string,
): Explained => {
  const sentence = `${because}: ${status} (${reason})`;
  return explainedBefore(node, before, {
    verdict: 'own-answer',
    reason,
    because: sentence,
    status,
  });
};

interface Requests {
  readonly asked: ClientAsked;
  readonly received: ClientRequest;
  /** As rules and guards leave it. */
  readonly changed: ClientRequest;
}

function ofCache(
  node: TierNode,
  site: ServedSite,
  { asked, received, changed }: Requests,
  before: Before,
  mayCompress: boolean,
  ruled?: RuledRequest,
): Promise<Explained> {
  const wanted = shapingFor(node, site, changed, mayCompress)?.wanted ?? changed;
  const nobody = { inform: () => undefined };
  const country = (): string => node.countryOf(asked.address);
  const lookup = clientLookup(node, nobody, wanted, site, country);
  const inputs = keyInputs(
    site,
    {
      received: { authority: asked.authority, target: received.target },
      changedTarget: changed.target,
      folded: site.keying.foldTarget(wanted.target),
      scheme: lookup.request.scheme,
      host: lookup.request.host,
      hostPattern: before.hostPattern ?? '*',
    },
    lookup.request.fields,
  );
  const rules = ruled === undefined ? before.rules : rulesOf(ruled, answerOf(node, lookup));
  return explainLookup(node, lookup, { ...before, rules, inputs });
}

/** What is known of the answer, for rules that go by it: that of what is stored. */
function answerOf({ engine }: TierNode, { key }: Lookup): AnswerFacts | undefined {
  const facts = engine.store.peek(key)[0]?.facts;
  return facts && { status: facts.status, contentType: facts.contentType };
}

const rulesOf = ({ facts, main }: RuledRequest, answer: AnswerFacts | undefined): RuleFared[] =>
  main.ruleset.verdicts(facts, answer).map(({ name, unmet, rule }) => ({
    name,
    matches: unmet === undefined,
    unmet: unmet ?? null,
    actions: [...actionsOf(rule)],
  }));
