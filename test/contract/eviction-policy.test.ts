import { describe, expect, test } from 'vitest';
import { BudgetedMap } from '#core/cache/eviction/budgeted-map.ts';
import { POLICY_NAMES, policyOf, type PolicyName } from '#core/cache/eviction/policies.ts';
import { hash32 } from '#core/hash.ts';
import { evictionPolicyContract } from './eviction-policy.ts';

for (const name of POLICY_NAMES) evictionPolicyContract(name, policyOf(name));

/** Plays `script` (`a10` puts a with 10 bytes, `a` uses it) in 100 bytes; what is left, in any order. */
function left(policy: PolicyName, script: string): string {
  const cache = new BudgetedMap<string, true>({
    budgetBytes: 100,
    makePolicy: policyOf(policy),
    hashOf: hash32,
  });
  for (const step of script.split(' ')) {
    const key = step.slice(0, 1);
    if (step.length === 1) cache.get(key);
    else cache.set(key, true, Number(step.slice(1)));
  }
  return [...cache.keys()].toSorted().join('');
}

describe('what leaves', () => {
  test.each<[PolicyName, string, string, string]>([
    ['fifo', 'the oldest, used or not', 'a40 b40 a c40', 'bc'],
    ['lru', 'the least recently used', 'a40 b40 a c40', 'ac'],
    ['lfu', 'the least often used', 'a40 b40 a a b c40', 'ac'],
    ['lfu', 'in time also what was used often long ago', 'a40 a b40 c40 d40 e40 f40', 'ef'],
    ['sieve', 'the first that the hand finds unused', 'a30 b30 c30 a c d30', 'acd'],
    ['sieve', 'where the hand stopped, next', 'a30 b30 c30 a b d30 a b e30', 'abe'],
    ['s3-fifo', 'what was used but once while it was new', 'a30 b30 c30 a a d30', 'acd'],
    [
      's3-fifo',
      'not what has come back soon after it left',
      'a20 a a e20 e e b45 c45 b45 d45',
      'bd',
    ],
    [
      'w-tinylfu',
      'a newcomer that is asked for less than what it would displace',
      'a30 a a b30 b b c30 d20 e20 f20',
      'bcdf',
    ],
    ['gdsf', 'the large one, of those used alike', 'a60 b30 c30', 'bc'],
    ['gdsf', 'a large one only if it is not used more', 'a60 a a a b30 c30', 'ac'],
    ['adaptive', 'the large one, of those used alike', 'a60 b30 c30', 'bc'],
  ])('by %s: %s', (policy, _what, script, expected) => {
    expect(left(policy, script)).toBe(expected);
  });
});
