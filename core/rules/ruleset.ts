import type { Rule } from '#core/contract/rules/rule.ts';
import {
  ANSWER_ACTIONS,
  type AnswerActions,
  REQUEST_ACTIONS,
  type RequestActions,
} from './actions.ts';
import type { AnswerFacts, RequestFacts } from './facts.ts';
import { Matcher } from './matcher.ts';

/** How a rule fared with a request. */
export interface RuleVerdict {
  /** Its name, or `rules[N]`. */
  readonly name: string;
  /** The first condition that did not hold; `undefined`: the rule matches. */
  readonly unmet: string | undefined;
  readonly rule: Rule;
}

interface Compiled {
  readonly matcher: Matcher;
  readonly rule: Rule;
}

/** A site's rules, made ready when its configuration arrives. */
export class Ruleset {
  readonly #rules: readonly Compiled[];
  readonly #onRequests: Phase<RequestActions>;
  readonly #onAnswers: Phase<AnswerActions>;

  constructor(rules: readonly Rule[]) {
    this.#rules = rules.map((rule) => ({ matcher: new Matcher(rule.match), rule }));
    this.#onRequests = new Phase<RequestActions>(REQUEST_ACTIONS, this.#rules);
    this.#onAnswers = new Phase<AnswerActions>(ANSWER_ACTIONS, this.#rules);
  }

  /** Whether neither requests nor answers have anything to do with the rules. */
  get isIdle(): boolean {
    return this.#onRequests.isIdle && this.#onAnswers.isIdle;
  }

  forRequest(request: RequestFacts): RequestActions {
    return this.#onRequests.actions(request, undefined);
  }

  forAnswer(request: RequestFacts, answer: AnswerFacts): AnswerActions {
    return this.#onAnswers.actions(request, answer);
  }

  /** How each rule fares, those for objects included. */
  verdicts(request: RequestFacts, answer: AnswerFacts | undefined): readonly RuleVerdict[] {
    return this.#rules.map(({ matcher, rule }, i) => ({
      name: rule.name ?? `rules[${i}]`,
      unmet: matcher.unmet(request, answer),
      rule,
    }));
  }
}

type Lists = Readonly<Record<string, readonly unknown[]>>;
type Makers = Readonly<Record<string, (value: never) => unknown>>;

/** The rules that have a say at one point of a request's life, and what they have done there. */
class Phase<Actions extends { readonly [K in keyof Actions]: readonly unknown[] }> {
  readonly #rules: readonly { matcher: Matcher; made: readonly (readonly [string, unknown])[] }[];
  readonly #none: Lists;

  constructor(makers: Makers, rules: readonly Compiled[]) {
    this.#none = Object.fromEntries(Object.keys(makers).map((action) => [action, []]));
    this.#rules = rules
      .map(({ matcher, rule }) => ({ matcher, made: madeOf(makers, rule) }))
      .filter(({ made }) => made.length > 0);
  }

  get isIdle(): boolean {
    return this.#rules.length === 0;
  }

  actions(request: RequestFacts, answer: AnswerFacts | undefined): Actions {
    let actions = this.#none;
    for (const { matcher, made } of this.#rules) {
      if (!matcher.matches(request, answer)) continue;
      for (const [action, value] of made) {
        actions = { ...actions, [action]: [...(actions[action] ?? []), value] };
      }
    }
    return actions as Actions;
  }
}

const madeOf = (makers: Makers, rule: Rule): readonly (readonly [string, unknown])[] =>
  Object.entries(makers).flatMap(([action, make]) => {
    const value = rule[action as keyof Rule];
    return value === undefined ? [] : [[action, make(value as never)] as const];
  });
