import { expect, test } from 'vitest';
import { foldedRequest, inputsFrom, keyingOf, keySelector } from '#core/cache/policy/keying.ts';
import { keySettingsSchema } from '#core/contract/key-settings.ts';
import { readRequest } from '#core/http/request.ts';

type Settings = Parameters<typeof keySettingsSchema.parse>[0];

const keying = (settings: Settings) => keyingOf(keySettingsSchema.parse(settings));

function folded(settings: Settings, fields: readonly string[], method = 'GET', target = '/a?b&a') {
  const made = keying(settings);
  const request = readRequest({
    method,
    target,
    fields: ['Host', 'h', ...fields],
    encrypted: false,
  });
  return foldedRequest(made, request, made.foldTarget(request.target), () => 'NO');
}

test.each<[string, Settings, readonly string[], readonly string[], boolean]>([
  ['the same value', { headers: ['x-a'] }, ['X-A', '1'], ['x-a', ' 1 '], true],
  ['another value', { headers: ['x-a'] }, ['X-A', '1'], ['X-A', '2'], false],
  ['absent differs from empty', { headers: ['x-a'] }, ['X-A', ''], [], false],
  [
    'white space within is told apart',
    { headers: ['x-a'] },
    ['X-A', 'a,b'],
    ['X-A', 'a, b'],
    false,
  ],
  ['fields not named do not matter', { headers: ['x-a'] }, ['X-B', '1'], ['X-B', '2'], true],
  ['the same cookie', { cookies: ['c'] }, ['Cookie', 'a=1; c=2'], ['Cookie', 'c=2;b=3'], true],
  ['another cookie', { cookies: ['c'] }, ['Cookie', 'c=1'], ['Cookie', 'c=2'], false],
  ['no cookie differs from an empty one', { cookies: ['c'] }, ['Cookie', 'c='], [], false],
  ['letter case of cookies counts', { cookies: ['c'] }, ['Cookie', 'C=1'], ['Cookie', 'C=2'], true],
  ['a cookie twice', { cookies: ['c'] }, ['Cookie', 'c=1; c=2'], ['Cookie', 'c=1'], false],
  [
    'RFC 9113 §8.2.3: a line each',
    { cookies: ['c'] },
    ['Cookie', 'a=1', 'Cookie', 'c=2'],
    ['Cookie', 'c=2'],
    true,
  ],
  [
    'one class',
    { deviceClass: true },
    ['User-Agent', 'iPhone 1'],
    ['User-Agent', 'iPhone 2'],
    true,
  ],
  ['another class', { deviceClass: true }, ['User-Agent', 'iPhone'], ['User-Agent', 'iPad'], false],
  ['a class that a client claims', { deviceClass: true }, ['X-Device-Class', 'bot'], [], true],
  [
    'one language',
    { language: ['en', 'de'] },
    ['Accept-Language', 'de-AT'],
    ['Accept-Language', 'de, en'],
    true,
  ],
  ['another language', { language: ['en', 'de'] }, ['Accept-Language', 'de'], [], false],
  [
    'a field that Connection takes away',
    { headers: ['x-a'] },
    ['X-A', '1', 'Connection', 'x-a'],
    [],
    true,
  ],
])('selects by: %s', (_, settings, one, other, equal) => {
  const select = (fields: readonly string[]): string =>
    keySelector(keying(settings).inputs, folded(settings, fields).fields);
  expect(select(one) === select(other)).toBe(equal);
});

test('a parent that is told the inputs selects the same', () => {
  const settings = {
    headers: ['x-a'],
    cookies: ['C'],
    country: true,
    deviceClass: true,
    language: ['en'],
  };
  const { inputs, keyedBy } = keying(settings);
  expect(inputsFrom(keyedBy)).toEqual(inputs);
  expect(inputs).toEqual(['x-a', 'cookie:C', 'x-device-class', 'x-country', 'accept-language']);
});

test('a request that is its own key is not copied', () => {
  const request = readRequest({
    method: 'GET',
    target: '/a?a&b',
    fields: ['Host', 'h', 'Connection', 'keep-alive'],
    encrypted: false,
  });
  const made = keying({});
  expect(foldedRequest(made, request, made.foldTarget(request.target), () => 'NO')).toBe(request);
});

test.each<[string, Settings, readonly string[], readonly string[]]>([
  ['country', { country: true }, ['X-Country', 'DE'], ['X-Country', 'NO']],
  [
    'device class, and no more of the agent',
    { deviceClass: true },
    ['User-Agent', 'iPhone', 'Sec-CH-UA', '"x"', 'Accept', '*/*'],
    [
      'Accept',
      '*/*',
      'X-Device-Class',
      'phone',
      'User-Agent',
      'Mozilla/5.0 (compatible; Canopy; phone) Mobile',
    ],
  ],
  ['language', { language: ['en', 'de'] }, ['Accept-Language', 'de-AT'], ['Accept-Language', 'de']],
  [
    'no look-alike of a field',
    { headers: ['x-a'] },
    ['X_A', '1', 'x-a', '2', 'y_b', '3'],
    ['x-a', '2', 'y_b', '3'],
  ],
])('upstream is told: %s', (_, settings, fields, expected) => {
  expect(folded(settings, fields).fields).toEqual(['Host', 'h', ...expected]);
});

test('what caches do not answer keeps its query and wishes, and is told its classes', () => {
  const settings = { query: 'none', deviceClass: true, language: ['en'] } as const;
  const fields = ['User-Agent', 'iPhone', 'Accept-Language', 'de'];
  expect(folded(settings, fields, 'POST')).toMatchObject({
    target: '/a?b&a',
    fields: ['Host', 'h', ...fields, 'X-Device-Class', 'phone'],
  });
  expect(folded(settings, fields, 'HEAD').target).toBe('/a');
});

test('a request to switch protocols keeps its query', () => {
  const made = keying({ query: 'none' });
  const request = readRequest({
    method: 'GET',
    target: '/socket?token=1',
    fields: ['Host', 'h', 'Connection', 'Upgrade', 'Upgrade', 'websocket'],
    encrypted: false,
    upgrade: 'websocket',
  });
  expect(foldedRequest(made, request, made.foldTarget(request.target), () => 'NO')).toBe(request);
});
