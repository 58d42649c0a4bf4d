import type {
  Explained,
  ExplainVerdict,
  NodeExplanation,
  PurgeConcern,
  StoredVariant,
  TierAsked,
} from '#core/contract/explain.ts';
import type { Foreseen, Lookup } from '#core/cache/engine.ts';
import { everybodysFields } from '#core/cache/everybodys-fields.ts';
import type { Fence } from '#core/cache/fence.ts';
import { isHeld, sizeOf, type StoredObject, suitsRequest } from '#core/cache/object.ts';
import type { Action } from '#core/cache/policy/decide.ts';
import { jitter } from '#core/cache/policy/jitter.ts';
import { unitedVary, variantSelector } from '#core/cache/policy/vary.ts';
import type { TierNode } from '#core/serving/tier-node.ts';
import { becauseOf, verdictOf } from './because.ts';
import { selectorDifferences } from './differences.ts';
import { freshnessSum } from './freshness-sum.ts';
import { hintsOf } from './hints.ts';
import { varying } from './key-inputs.ts';
import { maskedKey } from './masked.ts';
import { nearKeys } from './near-keys.ts';
import { parentsFared } from './parents.ts';

/** What a tier knows of a request before it comes to the cache. */
export type Before = Pick<NodeExplanation, 'hostPattern' | 'rules' | 'guards'> & {
  readonly site: string | null;
  /** What the key is made of, beside `Vary`. */
  readonly inputs: NonNullable<NodeExplanation['key']>['inputs'];
};

/** Actions that ask a parent; nobody waits for one that is asked behind. */
const ASKS: ReadonlySet<Action> = new Set(['refresh-behind', 'revalidate', 'fill', 'pass']);

/** What a node knows of itself. */
const ofNode = ({ name, tier, clock, engine }: TierNode) => ({
  node: name,
  tier,
  at: clock.now(),
  fence: engine.fence.sequence,
  leaseEnded: engine.leaseEnded,
});

/** An end before the cache was asked: the node answers, or refuses, by itself. */
export function explainedBefore(
  node: TierNode,
  { site, hostPattern, rules, guards }: Before,
  end: {
    readonly verdict: Extract<ExplainVerdict, 'own-answer' | 'refused'>;
    readonly reason: string;
    readonly because: string;
    readonly status: number;
  },
): Explained {
  return {
    explanation: {
      ...ofNode(node),
      site,
      hostPattern,
      rules,
      guards,
      ...end,
      threads: [],
      key: null,
      stored: [],
      banned: false,
      hitForMiss: false,
      fill: null,
      parents: { asks: false, order: [], skipped: [] },
      near: null,
      hints: [],
    },
    key: null,
    next: null,
  };
}

/** What this thread would do with a request at its cache now, and why. Nothing is changed by it. */
export async function explainLookup(
  node: TierNode,
  lookup: Lookup,
  before: Before,
): Promise<Explained> {
  const { engine } = node;
  const { site, key, request } = lookup;
  const foreseen = engine.foresee(lookup);
  const { variants, found, decision } = foreseen;
  const uncacheable = decision.reason === 'hit-for-miss' ? engine.uncacheable(lookup) : undefined;
  const stored = variantsOf(node, lookup, foreseen);
  const suiting = typeof found === 'string' ? undefined : found;
  const asks = ASKS.has(decision.action);
  const fill = asks ? engine.fillFor(lookup, suiting) : undefined;
  // What is looked for while time passes is looked for last, so that all else is of one moment.
  const parents = parentsFared(node.engine.tree.foresee(site, key), site, asks, {
    config: node.config,
    health: engine.tree.health,
    nowMs: node.clock.monotonicMs(),
  });
  const next = nextOf(node, lookup, decision.action, parents.order[0]);
  const banned = engine.bans.has({ site: site.name, key, tags: variants[0]?.facts.tags });
  const own = ofNode(node);
  const near = decision.reason === 'uri-miss' ? await nearKeys(engine, lookup) : null;
  const vary = unitedVary(...variants.map(({ facts }) => facts.vary));
  const because = becauseOf(decision, {
    method: request.method,
    stored: suiting && stored.find(({ suits }) => suits),
    variants: stored,
    uncacheable: uncacheable?.why,
    banned,
  });
  const { inputs, ...rest } = before;
  return {
    explanation: {
      ...own,
      ...rest,
      threads: [
        {
          slot: node.siblings.slot ?? 0,
          isHome: engine.source.isHome(lookup),
          action: decision.action,
          reason: decision.reason,
        },
      ],
      verdict: verdictOf(decision),
      reason: decision.reason,
      because,
      status: decision.action === 'refuse' ? 504 : null,
      key: { text: maskedKey(key), inputs: [...inputs, ...varying(vary, request.fields)] },
      stored,
      banned,
      hitForMiss: uncacheable !== undefined,
      fill:
        fill === undefined
          ? null
          : {
              ageMs: node.clock.monotonicMs() - fill.startedAtMs,
              waiters: fill.waiters,
              behind: fill.behind,
              shared: decision.action === 'fill' || decision.action === 'revalidate',
            },
      parents,
      near,
      hints: hintsOf(decision, stored, uncacheable?.why),
    },
    key,
    next,
  };
}

function variantsOf(
  { engine, clock }: TierNode,
  { site, key, keySelector, request }: Lookup,
  { variants, found }: Foreseen,
): StoredVariant[] {
  const now = clock.now();
  const ofKey = site.keying.inputs;
  return variants.map((object): StoredVariant => {
    const { facts, fields } = object;
    const suits = suitsRequest(object, keySelector, request.fields);
    const asked = keySelector + variantSelector(facts.vary, request.fields);
    // With the purges that concern it, where it is the one found.
    const state = suits && typeof found !== 'string' ? found : object;
    return {
      suits,
      differences: suits ? [] : selectorDifferences(asked, object.selector, ofKey),
      status: facts.status,
      bytes: sizeOf(object),
      held: isHeld(object) ? 'memory' : 'disk',
      receivedAt: object.receivedAt,
      asOf: object.asOf,
      etag: facts.etag ?? null,
      vary: [...facts.vary],
      tags: [...(facts.tags ?? [])],
      freshness: freshnessSum(
        { ...state, fields },
        site.cacheFor(request.target, facts),
        jitter(key, site.cache.jitterFraction),
        now,
      ),
      purges: concernsOf(engine.fence, object),
    };
  });
}

/** The purges that concern a stored object. */
function concernsOf(fence: Fence, object: StoredObject): PurgeConcern[] {
  const { asOf, softPurgedAt } = object;
  const ofScopes = fence.concerning(object).flatMap(({ scope, epoch }): PurgeConcern[] => {
    const name = 'name' in scope ? scope.name : null;
    const about = { scope: scope.kind, name };
    return [
      ...(asOf < epoch.hard
        ? [{ ...about, mode: 'hard' as const, sequence: epoch.hard, at: null }]
        : []),
      ...(asOf < epoch.soft
        ? [{ ...about, mode: 'soft' as const, sequence: epoch.soft, at: epoch.softAt }]
        : []),
    ];
  });
  const ofUrl: PurgeConcern[] =
    softPurgedAt === undefined
      ? []
      : [{ scope: 'url', name: null, mode: 'soft', sequence: null, at: softPurgedAt }];
  return [...ofScopes, ...ofUrl];
}

/** What would be sent to the parent that is asked first, if that is a node which can be asked in turn. */
function nextOf(
  node: TierNode,
  { site, keyedBy, request, askingFence, upstreamFields }: Lookup,
  action: Action,
  first: NodeExplanation['parents']['order'][number] | undefined,
): TierAsked | null {
  if (first?.tier !== 'mid-tier') return null;
  const isPass = action === 'pass';
  const fields = upstreamFields();
  return {
    as: 'tier',
    site: site.name,
    ...(site.originName !== undefined && { originName: site.originName }),
    method: isPass ? request.method : 'GET',
    scheme: request.scheme,
    host: isPass ? request.authority : request.host,
    target: request.target,
    fields: isPass ? [...fields] : everybodysFields(fields),
    keyedBy,
    fence: Math.max(askingFence, node.engine.fence.sequence),
  };
}
