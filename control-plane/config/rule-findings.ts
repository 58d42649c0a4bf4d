import { isDeepStrictEqual } from 'node:util';
import type { Match } from '#core/contract/rules/match.ts';
import type { Rule } from '#core/contract/rules/rule.ts';
import { alternateOrigins, type Site } from '#core/contract/site.ts';

/** What is wrong with one rule, and how to say it. */
export interface RuleFinding {
  readonly kind: 'unknown-origin' | 'rule-never-matches' | 'rule-without-effect';
  readonly message: string;
}

/** What speaks against the rules of a site. */
export function ruleFindings(site: Site): RuleFinding[] {
  const { rules } = site;
  const names = new Set(alternateOrigins(site).map(([name]) => name));
  return rules.flatMap((rule, i): RuleFinding[] => {
    const named = `Rule ${JSON.stringify(rule.name ?? i)}`;
    const findings: RuleFinding[] = [];
    if (rule.origin !== undefined && !names.has(rule.origin.name)) {
      const message = `${named} names origin "${rule.origin.name}", which the site does not have`;
      findings.push({ kind: 'unknown-origin', message });
    }
    const why = rule.match && neverMatches(rule.match, site);
    if (why !== undefined) {
      findings.push({ kind: 'rule-never-matches', message: `${named} never matches: ${why}` });
    }
    for (const action of Object.keys(rule) as (keyof Rule)[]) {
      const by = silencerOf(action, i, rules);
      if (by === undefined) continue;
      const silencer = JSON.stringify(rules[by]?.name ?? by);
      const message = `${named} has no effect by its ${action}: rule ${silencer} is for every request`;
      findings.push({ kind: 'rule-without-effect', message });
    }
    return findings;
  });
}

function neverMatches({ not, ...match }: Match, { hosts, tls }: Site): string | undefined {
  if (match.sample?.fraction === 0) return 'its sample is empty';
  if (match.scheme === 'http' && tls.redirect)
    return 'tls.redirect lets no request by http through';
  if (match.host?.some((host) => hosts.some((own) => overlap(host, own))) === false) {
    return 'its hosts are none of the site';
  }
  const excluded = Object.entries(not ?? {});
  if (excluded.length === 0) return undefined;
  const isAll = excluded.every(([condition, value]) =>
    covers(value, match[condition as keyof typeof match]),
  );
  return isAll ? 'all that it matches is excluded by not' : undefined;
}

/** Whether what fits `value` fits `excluded`, too. */
function covers(excluded: unknown, value: unknown): boolean {
  if (value === undefined) return false;
  if (!Array.isArray(excluded) || !Array.isArray(value)) return isDeepStrictEqual(excluded, value);
  return value.every((one) => excluded.includes(one));
}

const isWithin = (host: string, pattern: string): boolean =>
  pattern === '*' || (pattern.startsWith('*.') && host.endsWith(pattern.slice(1)));

/** Whether a host fits both patterns. */
function overlap(a: string, b: string): boolean {
  return a === b || isWithin(a, b) || isWithin(b, a);
}

/** Actions of which the last one holds. */
const OVERRIDDEN: ReadonlySet<keyof Rule> = new Set([
  'deny',
  'respond',
  'redirect',
  'cors',
  'origin',
]);

/** What nothing comes of where every request is refused, answered or sent elsewhere first. */
const CHANGES = ['rewrite', 'requestHeaders', 'origin'] as const;
const SILENCED: readonly (readonly [keyof Rule, readonly (keyof Rule)[]])[] = [
  ['deny', ['cors', 'respond', 'redirect', ...CHANGES]],
  ['respond', ['redirect', ...CHANGES]],
  ['redirect', CHANGES],
];

/** The rule by which an action of the rule at `i` never comes to anything. */
function silencerOf(action: keyof Rule, i: number, rules: readonly Rule[]): number | undefined {
  const always = (of: keyof Rule): number => rules.findLastIndex((rule) => isAlways(rule, of));
  const last = OVERRIDDEN.has(action) ? always(action) : -1;
  if (last > i) return last;
  for (const [stronger, weaker] of SILENCED) {
    const at = weaker.includes(action) ? always(stronger) : -1;
    const isAllowed = stronger === 'deny' && rules.some(({ deny }) => deny === false);
    if (at !== -1 && !isAllowed) return at;
  }
  return undefined;
}

/** Whether an action is for every request. */
function isAlways({ match, ...rule }: Rule, action: keyof Rule): boolean {
  if (match !== undefined) return false;
  if (action === 'deny') return rule.deny !== undefined;
  if (action !== 'redirect') return action in rule;
  // One that says the target leads nowhere for those who are there already.
  const { from, to } = rule.redirect ?? {};
  return to !== undefined && from === undefined && !to.includes('${');
}
