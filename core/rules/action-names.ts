import type { Rule } from '#core/contract/rules/rule.ts';

/** What a rule does, by the names of its settings: `deny`, `rewrite`, `cache`… */
export const actionsOf = (rule: Rule): readonly string[] =>
  Object.keys(rule).filter((key) => key !== 'name' && key !== 'match');
