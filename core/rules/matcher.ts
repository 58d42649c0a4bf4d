import type { Conditions, Match } from '#core/contract/rules/match.ts';
import { ANSWER_TESTS, pathTest, REQUEST_TESTS } from './conditions.ts';
import type { AnswerFacts, RequestFacts } from './facts.ts';

interface Test<F> {
  readonly condition: string;
  readonly holds: (facts: F) => boolean;
}

/** The conditions of a rule, made ready when the rule arrives. */
export class Matcher {
  readonly #request: readonly Test<RequestFacts>[];
  readonly #answer: readonly Test<AnswerFacts>[];
  readonly #not: Matcher | undefined;

  /** @param match left out: fits all */
  constructor({ not, ...conditions }: Match = {}) {
    this.#request = testsFor(REQUEST_TESTS, conditions);
    this.#answer = testsFor(ANSWER_TESTS, conditions);
    this.#not = not && new Matcher(not);
  }

  /** @param answer where there is none yet, no condition on one may be stated */
  matches(request: RequestFacts, answer: AnswerFacts | undefined): boolean {
    return this.unmet(request, answer) === undefined;
  }

  /** The first condition that does not hold, as `country` or `not`; conditions on an unknown answer do not. */
  unmet(request: RequestFacts, answer: AnswerFacts | undefined): string | undefined {
    const unmet =
      this.#request.find(({ holds }) => !holds(request)) ??
      this.#answer.find(({ holds }) => answer === undefined || !holds(answer));
    if (unmet !== undefined) return unmet.condition;
    return this.#not?.matches(request, answer) === true ? 'not' : undefined;
  }
}

/** Whether a rule that only says of objects what every tier knows of them is for one. */
export type ObjectMatcher = (path: string, answer: AnswerFacts) => boolean;

export function objectMatcher({ path, not, ...conditions }: Match = {}): ObjectMatcher {
  const hasPath = path === undefined ? undefined : pathTest(path);
  const tests = testsFor(ANSWER_TESTS, conditions);
  const excludes = not && objectMatcher(not);
  return (candidate, answer) =>
    tests.every(({ holds }) => holds(answer)) &&
    (hasPath?.(candidate) ?? true) &&
    excludes?.(candidate, answer) !== true;
}

/** In the order of `makers`. */
function testsFor<F>(
  makers: Readonly<Record<string, (value: never) => (facts: F) => boolean>>,
  conditions: Conditions,
): Test<F>[] {
  return Object.entries(makers).flatMap(([condition, make]) => {
    const value = conditions[condition as keyof Conditions];
    return value === undefined ? [] : [{ condition, holds: make(value as never) }];
  });
}
