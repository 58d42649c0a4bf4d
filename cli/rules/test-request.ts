import { type ServedSite, servedSite, siteAt } from '#core/cache/served-site.ts';
import type { Site } from '#core/contract/site.ts';
import { CanopyError } from '#core/errors.ts';
import { type Fields, fieldValue } from '#core/http/fields.ts';
import { mediaTypeOf, statedMediaType } from '#core/http/media-type.ts';
import { pathMatcher } from '#core/http/path-glob.ts';
import { type ClientRequest, readRequest } from '#core/http/request.ts';
import { actionsOf } from '#core/rules/action-names.ts';
import { type AnswerFacts, type Places, RequestFacts } from '#core/rules/facts.ts';
import { objectMatcher } from '#core/rules/matcher.ts';
import type { RuleVerdict } from '#core/rules/ruleset.ts';
import { withClient } from '#core/tree/forward.ts';
import { isTierField } from '#core/tree/tier-fields.ts';
import { RuledRequest } from '#edge/ruled.ts';

/** A request to try, and what its site would answer. */
export interface Trial {
  readonly url: URL;
  readonly method: string;
  /** Besides `Host`. */
  readonly fields: Fields;
  /** Address of the client. */
  readonly client: string;
  readonly places: Places;
  /** Of the answer. */
  readonly status: number;
  /** Of the answer; left out: as the ending of the path has it. */
  readonly contentType: string | undefined;
}

/** Lines of a header section that are gone, and that are new. */
export interface FieldsDifference {
  readonly removed: readonly string[];
  readonly added: readonly string[];
}

export interface TrialResult {
  readonly site: string;
  readonly rules: readonly {
    readonly name: string;
    readonly matches: boolean;
    /** The first condition that does not hold. */
    readonly unmet: string | null;
    readonly actions: readonly string[];
  }[];
  /** As the cache and the origin see it; `null`: it does not come so far. */
  readonly request:
    | (FieldsDifference & {
        readonly from: string;
        readonly to: string;
        /** The one of `origins`; `null`: the main one. */
        readonly origin: string | null;
      })
    | null;
  readonly answer: FieldsDifference & {
    /** Who makes it: the site, a rule, or the edge by refusing. */
    readonly by: 'site' | 'respond' | 'redirect' | 'cors-preflight' | 'refusal';
    readonly status: number;
    /** The error's code, where it is refused. */
    readonly code: string | null;
    readonly contentType: string;
    /** Whether an `errorPage` stands in for it. */
    readonly hasErrorPage: boolean;
  };
  /** Settings by which it is stored where they are not those of the site. */
  readonly cache: Readonly<Record<string, { readonly from: unknown; readonly to: unknown }>>;
}

/** What the rules of a site make of a request, by the very code of an edge. @throws CanopyError for one that is none */
export function testRequest(site: Site, trial: Trial): TrialResult {
  const { url, method, client, places } = trial;
  const served = servedSite(site);
  const received = withClient(
    readRequest({
      method,
      target: url.pathname + url.search,
      fields: ['Host', url.host, ...trial.fields],
      encrypted: url.protocol === 'https:',
    }),
    { address: client },
  );
  const ruled = RuledRequest.of(served, received, client, places);
  const facts = ruled?.facts ?? new RequestFacts(received, client, places);
  const made = answerTo(ruled, received, trial);
  const contentType = statedMediaType(fieldValue(made.fields, 'content-type'));
  const answer = { status: made.status, contentType };
  const shaped = ruled?.shape(made) ?? made;
  return {
    site: site.name,
    rules: served.ruleset.verdicts(facts, answer).map((verdict) => {
      const unmet = unmetBy(verdict, facts, made.changed, answer);
      const actions = actionsOf(verdict.rule);
      return { name: verdict.name, matches: unmet === undefined, unmet: unmet ?? null, actions };
    }),
    request: made.changed === undefined ? null : requestOf(received, made.changed, ruled, served),
    answer: {
      by: made.by,
      status: made.status,
      code: made.code ?? null,
      contentType,
      hasErrorPage: hasErrorPage(ruled, made),
      ...(made.by === 'site' || made.by === 'refusal'
        ? difference(made.fields, shaped.fields)
        : { removed: [], added: lines(shaped.fields) }),
    },
    cache: made.changed === undefined ? {} : cacheOf(served, made.changed, answer),
  };
}

/** Why nothing comes of a rule: rules for objects see what is rewritten, and actions on paths have paths of their own. */
function unmetBy(
  { unmet, rule }: RuleVerdict,
  facts: RequestFacts,
  changed: ClientRequest | undefined,
  answer: AnswerFacts,
): string | undefined {
  const actions = actionsOf(rule);
  if (actions.every((action) => action === 'cache') && changed !== undefined) {
    const [path = ''] = changed.target.split('?');
    return objectMatcher(rule.match)(path, answer) ? undefined : (unmet ?? 'path');
  }
  const from = actions.join() === 'redirect' ? rule.redirect?.from : undefined;
  const leads = from === undefined || pathMatcher(from)(facts.path);
  return unmet ?? (leads ? undefined : 'redirect.from');
}

interface Made {
  readonly by: TrialResult['answer']['by'];
  readonly status: number;
  readonly fields: Fields;
  readonly code?: CanopyError['code'];
  /** Set where the cache is asked. */
  readonly changed?: ClientRequest;
}

function answerTo(ruled: RuledRequest | undefined, received: ClientRequest, trial: Trial): Made {
  try {
    ruled?.guard();
    const own = ruled?.ownAnswer();
    if (own !== undefined) return { by: own.detail, status: own.status, fields: own.fields };
    const changed = ruled?.changed(received) ?? received;
    const type = trial.contentType ?? mediaTypeOf(indexed(trial.url.pathname));
    return { by: 'site', status: trial.status, fields: ['Content-Type', type], changed };
  } catch (error) {
    if (!(error instanceof CanopyError)) throw error;
    const fields = ['Content-Type', 'application/problem+json'];
    return { by: 'refusal', status: error.status, fields, code: error.code };
  }
}

/** A directory is asked for its page. */
const indexed = (path: string): string => (path.endsWith('/') ? `${path}index.html` : path);

function hasErrorPage(ruled: RuledRequest | undefined, { by, ...made }: Made): boolean {
  if (made.status < 400 || (by !== 'site' && by !== 'refusal')) return false;
  return ruled?.errorPage(made, { status: made.status, code: made.code }) !== undefined;
}

function requestOf(
  received: ClientRequest,
  changed: ClientRequest,
  ruled: RuledRequest | undefined,
  served: ServedSite,
): TrialResult['request'] {
  const { keying } = siteAt(served, ruled?.site.originName) ?? served;
  return {
    from: received.target,
    to: keying.foldTarget(changed.target),
    origin: ruled?.site.originName ?? null,
    ...difference(received.fields, changed.fields),
  };
}

function cacheOf(
  served: ServedSite,
  { target }: ClientRequest,
  answer: { readonly status: number; readonly contentType: string },
): TrialResult['cache'] {
  const before = Object.entries(served.cache) as [keyof typeof served.cache, unknown][];
  const after = served.cacheFor(served.keying.foldTarget(target), answer);
  const changes = before.flatMap(([name, from]) =>
    after[name] === from ? [] : [[name, { from, to: after[name] }] as const],
  );
  return Object.fromEntries(changes);
}

const lines = (fields: Fields): readonly string[] =>
  fields.flatMap((name, i) =>
    i % 2 === 0 && !isTierField(name.toLowerCase()) ? [`${name}: ${fields[i + 1]}`] : [],
  );

function difference(before: Fields, after: Fields): FieldsDifference {
  const [from, to] = [lines(before), lines(after)];
  return {
    removed: from.filter((line) => !to.includes(line)),
    added: to.filter((line) => !from.includes(line)),
  };
}
