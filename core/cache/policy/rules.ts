import type { RuleMatch } from '#core/contract/rule-match.ts';
import type { CacheSettings, Rule } from '#core/contract/site.ts';
import { pathMatcher } from '#core/http/path-glob.ts';
import type { ResponseFacts } from './response.ts';

/**
 * The cache settings for one answer.
 * @param target of the request, path and query
 */
export type SettingsFor = (
  target: string,
  facts: Pick<ResponseFacts, 'status' | 'contentType'>,
) => CacheSettings;

/** Settings with rules over them: all that match apply, in their order, a later one over an earlier. */
export function settingsFor(settings: CacheSettings, rules: readonly Rule[]): SettingsFor {
  if (rules.length === 0) return () => settings;
  const compiled = rules.map(({ match, cache }) => ({ matches: matcherOf(match), cache }));
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

type Matcher = (path: string, facts: Pick<ResponseFacts, 'status' | 'contentType'>) => boolean;

function matcherOf({ path, status, contentType }: RuleMatch): Matcher {
  const pathFits = path === undefined ? undefined : pathMatcher(path);
  const ranges = status?.map(rangeOf);
  return (candidate, facts) =>
    (ranges?.some(([from, to]) => facts.status >= from && facts.status <= to) ?? true) &&
    (contentType?.some((start) => facts.contentType.startsWith(start)) ?? true) &&
    (pathFits?.(candidate) ?? true);
}

/** The first and last status of `404` or `"500-599"`. */
function rangeOf(status: number | string): readonly [number, number] {
  const [from = 0, to = from] = String(status).split('-').map(Number);
  return [from, to];
}
