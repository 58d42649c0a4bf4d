import { expect, test } from 'vitest';
import { type Rule, ruleSchema } from '#core/contract/rules/rule.ts';
import { settingsFor } from '#core/rules/cache-settings.ts';
import { cacheSettings, response } from './facts.ts';

type Match = Rule['match'];
const html = response({ 'Content-Type': 'Text/HTML; charset=utf-8' });

test.each<[string, Match, boolean, string?, ReturnType<typeof response>?]>([
  ['a path', { path: '/a/*' }, true],
  ['a path without its query', { path: '/a/b' }, true, '/a/b?c'],
  ['another path', { path: '/b/*' }, false],
  ['a status', { status: [404, 200] }, true],
  ['another status', { status: [404] }, false],
  ['a range of statuses', { status: ['200-299'] }, true],
  ['a range that ends with it', { status: ['400-404'] }, true, '/', response({}, 404)],
  ['a range that ends before it', { status: ['400-403'] }, false, '/', response({}, 404)],
  ['a media type', { contentType: ['text/html'] }, true],
  ['the beginning of one', { contentType: ['image/', 'text/'] }, true],
  ['another media type', { contentType: ['image/'] }, false],
  ['no media type', { contentType: ['text/'] }, false, '/', response()],
  ['all that is stated', { path: '/a/b', status: [200], contentType: ['text/'] }, true],
  ['all but one', { path: '/a/b', status: [201], contentType: ['text/'] }, false],
])('a rule matches by %s', (_, match, matches, target = '/a/b', facts = html) => {
  const rules = [ruleSchema.parse({ match, cache: { minFreshSeconds: 7 } })];
  const { minFreshSeconds } = settingsFor(cacheSettings(), rules)(target, facts);
  expect(minFreshSeconds).toBe(matches ? 7 : 0);
});

test('of the rules that match a later one wins, setting by setting', () => {
  const rules = [
    { match: { path: '/**' }, cache: { minFreshSeconds: 1, maxFreshSeconds: 10 } },
    { match: { path: '/a' }, cache: { minFreshSeconds: 2 } },
    { match: { path: '/b' }, cache: { minFreshSeconds: 3 } },
  ].map((rule) => ruleSchema.parse(rule));
  const settings = cacheSettings({ staleIfErrorSeconds: 5 });
  expect(settingsFor(settings, rules)('/a', html)).toEqual({
    ...settings,
    minFreshSeconds: 2,
    maxFreshSeconds: 10,
  });
});

test('a rule can take a setting back', () => {
  const rules = [ruleSchema.parse({ match: { path: '/a' }, cache: { maxFreshSeconds: null } })];
  const settings = cacheSettings({ maxFreshSeconds: 5 });
  expect(settingsFor(settings, rules)('/a', html).maxFreshSeconds).toBeNull();
});

test('without rules nothing is made anew', () => {
  const settings = cacheSettings();
  expect(settingsFor(settings, [])('/a', html)).toBe(settings);
});
