import type { CacheSettings } from '#core/contract/cache-settings.ts';
import type { Rule } from '#core/contract/rules/rule.ts';
import type { AnswerFacts } from './facts.ts';
import { objectMatcher } from './matcher.ts';

/**
 * The cache settings for one answer.
 * @param target of the object, path and query
 */
export type SettingsFor = (target: string, facts: AnswerFacts) => CacheSettings;

/** Settings with rules over them: all that match apply, in their order, a later one over an earlier. */
export function settingsFor(settings: CacheSettings, rules: readonly Rule[]): SettingsFor {
  const compiled = rules.flatMap(({ match, cache }) =>
    cache === undefined ? [] : [{ matches: objectMatcher(match), cache }],
  );
  if (compiled.length === 0) return () => settings;
  return (target, facts) => {
    const queryAt = target.indexOf('?');
    const path = queryAt === -1 ? target : target.slice(0, queryAt);
    let effective = settings;
    for (const { matches, cache } of compiled) {
      if (matches(path, facts)) effective = { ...effective, ...cache };
    }
    return effective;
  };
}
