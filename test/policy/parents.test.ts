import { expect, test } from 'vitest';
import { type Node, nodeSchema } from '#core/contract/node.ts';
import { siteSchema } from '#core/contract/site.ts';
import { stagesFor } from '#core/tree/parents.ts';

const node = (
  name: string,
  tier: Node['tier'],
  place: readonly [latitude: number, longitude: number],
  more: Partial<Node> = {},
): Node =>
  nodeSchema.parse({
    name,
    tier,
    url: `http://${name}`,
    location: { name, latitude: place[0], longitude: place[1] },
    ...more,
  });

const NODES: readonly Node[] = [
  node('oslo', 'edge', [59.9, 10.7], { group: 'europe' }),
  node('suva', 'edge', [-18.1, 178.4], { group: 'europe', fallbackGroups: ['asia', 'empty'] }),
  node('lima', 'edge', [-12, -77]),
  node('frankfurt', 'mid-tier', [50.1, 8.7], { group: 'europe' }),
  node('london', 'mid-tier', [51.5, -0.1], { group: 'europe' }),
  node('tokyo', 'mid-tier', [35.7, 139.7], { group: 'asia' }),
  node('dallas', 'mid-tier', [32.8, -96.8], { group: 'america' }),
  node('store', 'origin', [50, 8]),
];

const SERVERS = [
  { url: 'http://b', priority: 1 },
  { url: 'http://a1', weight: 3 },
  { url: 'http://a2' },
];

test.each<[asking: string, tier: Node['tier'], shield: string | null, expected: string]>([
  ['oslo', 'edge', null, 'frankfurt london, dallas, tokyo, a1 a2, b'],
  // Fiji is nearer to Tokyo than to Dallas, but what is named comes first in any case.
  ['suva', 'edge', null, 'frankfurt london, tokyo, dallas, a1 a2, b'],
  // In the group `default`, which has no mid-tier.
  ['lima', 'edge', null, 'dallas, frankfurt london, tokyo, a1 a2, b'],
  ['oslo', 'edge', 'america', 'frankfurt london, tokyo, dallas, a1 a2, b'],
  ['oslo', 'edge', 'europe', 'frankfurt london, dallas, tokyo, a1 a2, b'],
  ['oslo', 'edge', 'nowhere', 'frankfurt london, dallas, tokyo, a1 a2, b'],
  ['tokyo', 'mid-tier', null, 'a1 a2, b'],
  ['tokyo', 'mid-tier', 'europe', 'frankfurt london, a1 a2, b'],
  ['london', 'mid-tier', 'europe', 'a1 a2, b'],
  ['tokyo', 'mid-tier', 'nowhere', 'a1 a2, b'],
  ['unheard-of', 'edge', null, 'frankfurt london, tokyo, dallas, a1 a2, b'],
])('%s (%s) with the shield %s asks %s', (asking, tier, shieldGroup, expected) => {
  const origin = { kind: 'pull', servers: SERVERS };
  const site = siteSchema.parse({ name: 'site', hosts: ['*'], origin, shieldGroup });
  const stages = stagesFor({ nodes: [...NODES] }, site, { name: asking, tier });
  const told = stages.map((stage) =>
    stage.map(({ name }) => name.replace('http://', '')).join(' '),
  );
  expect(told.join(', ')).toBe(expected);
});

test('a site that is pushed comes from the origin of the network', () => {
  const site = siteSchema.parse({ name: 'site', hosts: ['*'], origin: { kind: 'push' } });
  const stages = stagesFor({ nodes: [...NODES] }, site, { name: 'tokyo', tier: 'mid-tier' });
  expect(stages).toEqual([[{ name: 'store', url: 'http://store', tier: 'origin', weight: 1 }]]);
});

test('weights are those of the configuration', () => {
  const origin = { kind: 'pull', servers: SERVERS };
  const site = siteSchema.parse({ name: 'site', hosts: ['*'], origin });
  const [first] = stagesFor({ nodes: [] }, site, { name: 'tokyo', tier: 'mid-tier' });
  expect(first?.map(({ weight }) => weight)).toEqual([3, 1]);
});
