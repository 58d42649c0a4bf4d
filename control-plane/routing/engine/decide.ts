import type { Override, SiteRouting } from '#core/contract/routing.ts';
import type { Candidate } from './candidate.ts';
import { chosenOf } from './choice.ts';
import type { Client } from './client.ts';
import { healthy, lastResort } from './health.ts';
import { unspilled } from './load.ts';
import { type Latencies, NO_LATENCIES } from './latencies.ts';
import { byNearness, type Near } from './nearness.ts';
import { type Overrides, obeying, pinned } from './overrides.ts';
import { serving } from './serving.ts';

/** What is to be decided. */
export interface Question {
  readonly site: { readonly name: string; readonly routing: SiteRouting };
  readonly client: Client;
  /** Only edges with an address of this family will do; left out: any edge. */
  readonly family?: 4 | 6 | undefined;
  /** What equal edges share out among themselves: a URL's path; left out: the clients. */
  readonly share?: string | undefined;
  readonly candidates: readonly Candidate[];
  readonly overrides: Overrides;
  /** Measured round trips, where there are enough of them. */
  readonly latencies?: Pick<Latencies, 'about'>;
}

/** The steps in their order. */
export type Step =
  'serves' | 'healthy' | 'overrides' | 'last-resort' | 'pins' | 'nearness' | 'load' | 'choice';

/** Why a step dropped an edge. */
export type DropReason =
  /** The site names its edges, and this is none of them. */
  | 'not-of-site'
  /** It cannot get the site's certificate, and another can. */
  | 'no-certificate'
  /** It has no address of the family that is asked for. */
  | 'no-address'
  | 'ailing'
  | 'draining'
  | 'unreported'
  | 'down'
  /** The site keeps to countries or continents, and it is elsewhere, or nobody has said where. */
  | 'outside-region'
  | 'banned'
  /** These clients are pinned to others. */
  | 'not-pinned'
  /** Sheds this client, for it has too much to do. */
  | 'spilled'
  /** Another is nearer by more than `nearMs`. */
  | 'farther'
  /** As near, but others come first for this client. */
  | 'surplus';

export interface Dropped {
  readonly node: string;
  readonly reason: DropReason;
}

/** What one step made of those that the steps before it had left. */
export interface Verdict {
  readonly step: Step;
  readonly dropped: readonly Dropped[];
}

export interface Decision {
  /** The best first. All are as near as the first by the site's measure; those of a DNS answer. */
  readonly chosen: readonly Near[];
  /** All that remained, the best first, near or far: for clients that try one after the other. */
  readonly ranked: readonly Near[];
  /** No edge was well, and these are the least bad. */
  readonly isLastResort: boolean;
  readonly verdicts: readonly Verdict[];
}

/** The edges that clients may be sent to whom the same overrides concern, before it matters where they are. */
export interface Field {
  readonly left: readonly Candidate[];
  readonly isLastResort: boolean;
  /** Of the steps that led here. */
  readonly verdicts: readonly Verdict[];
}

/** The steps for which it does not matter where a client is. Pure. @param matching overrides that concern it */
export function fieldOf(
  { site, family, candidates }: Pick<Question, 'site' | 'family' | 'candidates'>,
  matching: readonly Override[],
): Field {
  const verdicts: Verdict[] = [];
  const run = runner(verdicts);
  const serve = run('serves', candidates, serving(candidates, site, family));
  const well = run('healthy', serve, healthy);
  const forbids = obeying(matching, site.routing);
  const allowed = run('overrides', well, forbids);
  // An edge of the other family that is well does better than one of this that is not.
  const isAnyWell = (): boolean => {
    const serves = serving(candidates, site, undefined);
    return candidates.some((candidate) =>
      [serves, healthy, forbids].every((reasonOf) => reasonOf(candidate) === undefined),
    );
  };
  const isLastResort = allowed.length === 0 && serve.length > 0 && !isAnyWell();
  const found = isLastResort
    ? run('last-resort', serve, lastResort(serve, forbids, site.routing))
    : allowed;
  const left = run('pins', found, pinned(matching, found));
  return { left, isLastResort: isLastResort && found.length > 0, verdicts };
}

/**
 * Which edges a client is sent to, and why not to the others. Pure.
 * @param field of the question, where it is known
 */
export function decide(
  question: Question,
  field: Field = fieldOf(
    question,
    question.overrides.matching(question.client, question.site.name),
  ),
): Decision {
  const { site, client } = question;
  const { left, isLastResort } = field;
  const verdicts = [...field.verdicts];
  const run = runner(verdicts);
  const near = byNearness(left, client, (question.latencies ?? NO_LATENCIES).about(client));
  verdicts.push({ step: 'nearness', dropped: [] });
  const unloaded = run('load', near, unspilled(near, client));
  const { chosen, ranked, reasonOf } = chosenOf(unloaded, site, question.share ?? client.key);
  run('choice', ranked, reasonOf);
  return { chosen, ranked, isLastResort, verdicts };
}

/** Runs steps, and notes what each made of the candidates. */
const runner =
  (verdicts: Verdict[]) =>
  <T extends Candidate>(
    step: Step,
    before: readonly T[],
    reasonOf: (candidate: T) => DropReason | undefined,
  ): readonly T[] => {
    const dropped: Dropped[] = [];
    const kept = before.filter((candidate) => {
      const reason = reasonOf(candidate);
      if (reason !== undefined) dropped.push({ node: candidate.name, reason });
      return reason === undefined;
    });
    verdicts.push({ step, dropped });
    return kept;
  };
