import { describe, expect, it } from 'vitest';
import { configOf, edgeNode, Served, sourceOf } from './dns-kit.ts';
import { ownAddresses, Resolver, withRouters } from './resolver.ts';

// Two routers as resolvers find them: delegated to by a parent zone, and asked by Unbound.

const LONDON = '+subnet=81.2.69.0/24';
const TOKYO = '+subnet=133.11.0.0/24';

async function delegated(settings: readonly string[] = []) {
  const at = ownAddresses();
  const [first, second] = [at(1), at(2)];
  const source = sourceOf(withRouters(configOf(), [first, second]));
  const routers = [
    await Served.start({ source, host: first, port: 53 }),
    await Served.start({ source, host: second, port: 53 }),
  ];
  const servers = { ns1: first, ns2: second };
  const resolver = await Resolver.start({ resolver: at(4), parent: at(3), servers, settings });
  const asked = (): number => routers.reduce((sum, { counters }) => sum + counters.total, 0);
  return { first, second, routers, resolver, asked };
}

describe('a zone that is delegated to two routers', () => {
  it('resolves, names in whatever case, also when one of them is gone', async () => {
    const { resolver, routers } = await delegated(['use-caps-for-id: yes']);
    const film = 'film.cdn.example';
    expect(await resolver.dig(film, 'A')).toMatch(/IN A 198\.18\.0\.\d/);
    expect(await resolver.dig(film, 'AAAA')).toMatch(/IN AAAA 3fff::\d/);
    expect(await resolver.dig(film, 'HTTPS')).toContain(
      'HTTPS 1 . alpn="h2,http/1.1" ipv4hint=198.18.',
    );
    expect(await resolver.dig('alias.cdn.example', 'A')).toMatch(/CNAME film\.cdn\.example/);
    expect(await resolver.dig('_acme-challenge.film.cdn.example', 'TXT')).toContain('"proof"');
    // Unbound rotates the records of a set (RFC 1034 §3.6: their order means nothing).
    const servers = await resolver.dig('cdn.example', 'NS');
    for (const server of ['ns1', 'ns2']) expect(servers).toContain(`NS ${server}.cdn.example.`);

    await routers[0]?.close();
    for (let i = 0; i < 8; i++) {
      expect(await resolver.dig(`h${i}.wild.cdn.example`, 'A', '+time=10')).toMatch(/IN A 198\.18/);
    }
  });

  it('comes by TCP where it is long', async () => {
    const { resolver, routers } = await delegated();
    expect(await resolver.dig('big.cdn.example', 'TXT', '+tcp')).toContain('aaaa');
    expect(routers.reduce((sum, { counters }) => sum + counters.truncated, 0)).toBeGreaterThan(0);
  });

  it('is not asked again for what is kept, names that do not exist among it', async () => {
    const { resolver, asked } = await delegated();
    const denied = [
      ['none.cdn.example', 'A', 'NXDOMAIN'],
      ['film.cdn.example', 'MX', 'NOERROR'],
    ] as const;
    for (const [name, type] of denied) await resolver.dig(name, type);
    expect(await resolver.dig('film.cdn.example', 'A')).toContain('IN A 198.18.');
    const before = asked();
    for (const [name, type, status] of denied) {
      const again = await resolver.dig(name, type);
      expect(again).toContain(`status: ${status}`);
      expect(again).toContain('IN SOA ns1.cdn.example.');
    }
    expect(await resolver.dig('film.cdn.example', 'A')).toContain('IN A 198.18.');
    expect(asked()).toBe(before);
  });

  it('answers each client network for itself, and the resolver keeps that for its scope', async () => {
    const at = ownAddresses();
    const source = sourceOf(withRouters(configOf(), [at(1), at(2)]));
    const served = await Served.start({ source, host: at(1), port: 53 });
    const other = await Served.start({ source, host: at(2), port: 53 });
    const resolver = await Resolver.start({
      resolver: at(4),
      parent: at(3),
      servers: { ns1: at(1), ns2: at(2) },
      settings: [
        'module-config: "subnetcache iterator"',
        `send-client-subnet: ${at(1)}`,
        `send-client-subnet: ${at(2)}`,
        'client-subnet-always-forward: yes',
        'max-client-subnet-ipv4: 24',
      ],
    });
    const [oslo, tokyo] = (['oslo', 'tokyo'] as const).map((city) => edgeNode(city).addresses?.[0]);
    const london = await resolver.dig('film.cdn.example', 'A', LONDON);
    expect(london).toContain(`IN A ${oslo}`);
    const [, scope = ''] = /CLIENT-SUBNET: 81\.2\.69\.0\/24\/(\d+)/.exec(london) ?? [];
    expect(Number(scope)).toBeGreaterThan(0);
    expect(await resolver.dig('film.cdn.example', 'A', TOKYO)).toContain(`IN A ${tokyo}`);
    const before = served.counters.total + other.counters.total;
    expect(await resolver.dig('film.cdn.example', 'A', LONDON)).toContain(`IN A ${oslo}`);
    expect(await resolver.dig('film.cdn.example', 'A', TOKYO)).toContain(`IN A ${tokyo}`);
    expect(served.counters.total + other.counters.total).toBe(before);
  });
});
