import { describe, expect, test } from 'vitest';
import { mergeDeep, siteFor } from '#cli/up/site.ts';

const nothing = { pull: [], hosts: [] };

describe('mergeDeep', () => {
  test.each([
    ['fields are added', { a: 1 }, { b: 2 }, { a: 1, b: 2 }],
    ['values are replaced', { a: 1 }, { a: 2 }, { a: 2 }],
    ['objects are merged', { a: { b: 1, c: 2 } }, { a: { c: 3 } }, { a: { b: 1, c: 3 } }],
    ['lists are replaced', { a: [1, 2] }, { a: [3] }, { a: [3] }],
    ['null replaces', { a: { b: 1 } }, { a: null }, { a: null }],
    ['same kind merges', { kind: 'x', a: 1 }, { kind: 'x', b: 2 }, { kind: 'x', a: 1, b: 2 }],
    ['other kind replaces', { kind: 'x', a: 1 }, { kind: 'y', b: 2 }, { kind: 'y', b: 2 }],
    ['no object replaces', { a: 1 }, 7, 7],
  ])('%s', (_title, under, over, merged) => {
    expect(mergeDeep(under, over)).toEqual(merged);
  });

  test('a field of the file cannot reach the prototype', () => {
    mergeDeep({}, JSON.parse('{"__proto__":{"polluted":true}}'));
    expect('polluted' in {}).toBe(false);
  });
});

describe('siteFor', () => {
  test('asked for nothing: every host, from the network’s own origin', () => {
    expect(siteFor(nothing)).toMatchObject({
      name: 'default',
      hosts: ['*'],
      origin: { kind: 'push' },
    });
  });

  test('origin servers get priorities in the order given', () => {
    const site = siteFor({ pull: ['http://a.test', 'http://b.test'], hosts: ['www.test'] });
    expect(site.hosts).toEqual(['www.test']);
    expect(site.origin).toMatchObject({
      kind: 'pull',
      hostHeader: 'origin',
      servers: [
        { url: 'http://a.test', priority: 0, weight: 1 },
        { url: 'http://b.test', priority: 1, weight: 1 },
      ],
    });
  });

  test('the file is laid over the options, deeply', () => {
    const file = {
      origin: { kind: 'pull', hostHeader: 'client' },
      cache: { staleIfErrorSeconds: 5 },
    };
    const site = siteFor({ pull: ['http://a.test'], hosts: [], file });
    expect(site.origin).toMatchObject({
      hostHeader: 'client',
      servers: [{ url: 'http://a.test' }],
    });
    expect(site.cache).toMatchObject({ staleIfErrorSeconds: 5, negativeFreshSeconds: 10 });
  });

  test.each([
    [
      { cache: { staleIfErrorSeconds: 'x' } },
      /cache\.staleIfErrorSeconds: expected .*received "x"/,
    ],
    [{ hosts: [] }, /hosts: expected .* at least 1, received \[\]/],
    [{ colour: 'red' }, /colour: expected no such field, received "red"/],
    [{ name: 'other' }, /name: expected "default", or none, received "other"/],
    [['a list'], /expected object/],
  ])('refuses the file %j', (file, message) => {
    expect(() => siteFor({ ...nothing, file })).toThrow(message);
  });
});
