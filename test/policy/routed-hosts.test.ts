import { describe, expect, it, test } from 'vitest';
import { ownHostOf, withRoutedHosts } from '#core/contract/routed-hosts.ts';
import { SiteDirectory } from '#core/sites.ts';
import { siteSchema } from '#core/contract/site.ts';

const ZONES = [{ name: 'cdn.example' }, { name: 'other.example' }];
const film = (...hosts: string[]) =>
  siteSchema.parse({ name: 'film', hosts, origin: { kind: 'push' } });

describe('ownHostOf', () => {
  it.each([
    ['www.film.example', 'www.film.example'],
    ['film.cdn.example', 'www.film.example'],
    ['oslo.film.cdn.example', 'www.film.example'],
    ['oslo.film.other.example', 'www.film.example'],
    ['img.film.example', 'img.film.example'],
    ['notfilm.cdn.example', 'notfilm.cdn.example'],
  ])('takes %s for %s', (host, own) => {
    const site = film('*.film.example', 'www.film.example');
    expect(ownHostOf(site, ZONES)(host)).toBe(own);
  });

  it('leaves a host that the site has named itself', () => {
    const site = film('www.film.example', 'film.cdn.example');
    expect(ownHostOf(site, ZONES)('film.cdn.example')).toBe('film.cdn.example');
  });

  it('leaves every host of a site that has patterns only', () => {
    expect(ownHostOf(film('*'), ZONES)('oslo.film.cdn.example')).toBe('oslo.film.cdn.example');
  });
});

test('a site is found by the names that it has in the zones', () => {
  const directory = new SiteDirectory([withRoutedHosts(film('www.film.example'), ZONES)]);
  for (const host of ['film.cdn.example', 'oslo.film.other.example', 'www.film.example']) {
    expect(directory.byHost(host)?.name).toBe('film');
  }
  expect(directory.byHost('cdn.example')).toBeUndefined();
});
