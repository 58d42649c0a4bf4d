import { describe, expect, test } from 'vitest';
import type { Site } from '#core/contract/site.ts';
import { siteSchema } from '#core/contract/site.ts';
import { normalizeHost, SiteDirectory } from '#core/sites.ts';

const site = (name: string, ...hosts: string[]): Site =>
  siteSchema.parse({ name, hosts, origin: { kind: 'push' } });

const exact = site('exact', 'www.example.org', '[::1]');
const near = site('near', '*.example.org');
const far = site('far', '*.org');
const any = site('any', '*');

describe('SiteDirectory.byHost', () => {
  test.for<[host: string, site: Site]>([
    ['www.example.org', exact],
    ['WWW.Example.ORG', exact],
    ['www.example.org:8080', exact],
    ['www.example.org.', exact],
    ['www.example.org.:443', exact],
    ['[::1]', exact],
    ['[::1]:8080', exact],
    ['img.example.org', near],
    ['a.b.example.org', near],
    ['IMG.example.org:80', near],
    ['example.org', far],
    ['elsewhere.org', far],
    ['org', any],
    ['example.com', any],
    ['127.0.0.1:8080', any],
    ['', any],
    ['.example.org', any],
    ['*.example.org', near],
    [`${'a.'.repeat(300)}org`, any],
  ])('%s', ([host, expected]) => {
    expect(new SiteDirectory([any, far, near, exact]).byHost(host)?.name).toBe(expected.name);
  });

  test('without `*` a host that nobody claims belongs to no site', () => {
    const directory = new SiteDirectory([exact, near]);
    for (const host of ['example.org', '', '.', 'example.com', '.example.org']) {
      expect(directory.byHost(host)).toBeUndefined();
    }
  });
});

test('SiteDirectory.byName knows each site', () => {
  const directory = new SiteDirectory([exact, any]);
  expect(directory.byName('any')).toBe(any);
  expect(directory.byName('near')).toBeUndefined();
});

test.for([
  ['Example.org:80', 'example.org'],
  ['example.org.', 'example.org'],
  ['[2001:DB8::1]:80', '[2001:db8::1]'],
  ['', ''],
])('normalizeHost(%s) is %s', ([host = '', expected]) => {
  expect(normalizeHost(host)).toBe(expected);
});
