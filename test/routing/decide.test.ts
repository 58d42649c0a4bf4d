import { Latencies } from '#control-plane/routing/engine/latencies.ts';
import { describe, expect, it } from 'vitest';
import type { Client } from '#control-plane/routing/engine/client.ts';
import type { DropReason, Step } from '#control-plane/routing/engine/decide.ts';
import { ALL, type Asked, clientIn, decided, edge, names, overrides, prefix } from './kit.ts';

const measuredTokyo = new Latencies([
  {
    level: 'network',
    of: '192.0.2.0/24',
    edges: [{ edge: 'tokyo', roundTripMs: 1, samples: 20 }],
  },
]);

type Row = readonly [
  says: string,
  asked: Asked,
  chosen: readonly string[],
  because?: Partial<Record<string, readonly [Step, DropReason]>>,
];

const ROWS: readonly Row[] = [
  ['nearest first', {}, ['rome'], { oslo: ['choice', 'farther'], tokyo: ['choice', 'farther'] }],
  [
    'a site that names its edges has no others',
    { site: { edges: ['oslo', 'tokyo'] } },
    ['oslo'],
    {
      rome: ['serves', 'not-of-site'],
    },
  ],
  [
    'an edge without the site’s certificate leaves while another has it',
    { candidates: [edge('rome', { uncertified: new Set(['film']) }), edge('oslo')] },
    ['oslo'],
    {
      rome: ['serves', 'no-certificate'],
    },
  ],
  [
    'even if that other is not well, for it is the least bad',
    {
      candidates: [
        edge('rome', { uncertified: new Set(['film']) }),
        edge('oslo', { condition: 'draining' }),
      ],
    },
    ['oslo'],
    {
      rome: ['serves', 'no-certificate'],
    },
  ],
  [
    'edges without a certificate will do where none has it, or it is another site’s',
    {
      site: { edges: ['rome'] },
      candidates: [edge('rome', { uncertified: new Set(['film', 'news']) }), edge('oslo')],
    },
    ['rome'],
  ],
  [
    'an edge without an address of the family cannot be used',
    { family: 6, candidates: [edge('rome'), edge('oslo', { families: new Set([4, 6]) })] },
    ['oslo'],
    {
      rome: ['serves', 'no-address'],
    },
  ],
  [
    'one that is down leaves',
    { candidates: [edge('rome', { condition: 'down' }), edge('oslo')] },
    ['oslo'],
    {
      rome: ['healthy', 'down'],
    },
  ],
  [
    'one that does not report leaves',
    { candidates: [edge('rome', { condition: 'unreported' }), edge('oslo')] },
    ['oslo'],
    {
      rome: ['healthy', 'unreported'],
    },
  ],
  [
    'one that drains leaves',
    { candidates: [edge('rome', { condition: 'draining' }), edge('oslo')] },
    ['oslo'],
    {
      rome: ['healthy', 'draining'],
    },
  ],
  [
    'when none is well the least bad stay',
    {
      candidates: [
        edge('rome', { condition: 'down' }),
        edge('oslo', { condition: 'unreported' }),
        edge('tokyo', { condition: 'draining' }),
      ],
    },
    ['tokyo'],
    {
      rome: ['last-resort', 'down'],
      oslo: ['last-resort', 'unreported'],
    },
  ],
  [
    'one of the other family that is well does better than one of this that is down',
    {
      family: 6,
      candidates: [edge('rome', { condition: 'down', families: new Set([4, 6]) }), edge('oslo')],
    },
    [],
    {
      rome: ['healthy', 'down'],
      oslo: ['serves', 'no-address'],
    },
  ],
  [
    'or none, if the site says so',
    { site: { lastResort: 'none' }, candidates: [edge('rome', { condition: 'down' })] },
    [],
    {
      rome: ['last-resort', 'down'],
    },
  ],
  [
    'a last resort obeys regional limits',
    {
      site: { within: { continents: ['EU'] } },
      candidates: [edge('rome', { condition: 'down' }), edge('tokyo', { condition: 'draining' })],
    },
    ['rome'],
    {
      tokyo: ['last-resort', 'outside-region'],
    },
  ],
  [
    'EU only',
    { client: clientIn('tokyo'), site: { within: { continents: ['EU'] } } },
    ['oslo'],
    {
      tokyo: ['overrides', 'outside-region'],
      'new-york': ['overrides', 'outside-region'],
    },
  ],
  [
    'an edge of which nobody has said where it is, is not within',
    {
      site: { within: { countries: ['IT', 'NO'] } },
      candidates: [
        {
          name: 'rome',
          point: { latitude: 41.9, longitude: 12.5 },
          weight: 1,
          condition: 'well',
          families: new Set([4]),
          shed: 0,
        },
        edge('oslo'),
      ],
    },
    ['oslo'],
    {
      rome: ['overrides', 'outside-region'],
    },
  ],
  [
    'banned by network',
    { overrides: overrides({ clients: { networks: ['192.0.2.0/24'] }, ban: ['rome'] }) },
    ['lisbon'],
    {
      rome: ['overrides', 'banned'],
    },
  ],
  [
    'a larger network holds the client, too',
    { overrides: overrides({ clients: { networks: ['192.0.0.0/16'] }, ban: ['rome'] }) },
    ['lisbon'],
  ],
  [
    'another network does not',
    { overrides: overrides({ clients: { networks: ['192.0.3.0/24'] }, ban: ['rome'] }) },
    ['rome'],
  ],
  [
    'pinned by country',
    { overrides: overrides({ clients: { countries: ['IT'] }, pin: ['tokyo'] }) },
    ['tokyo'],
    {
      rome: ['pins', 'not-pinned'],
    },
  ],
  [
    'pinned by ASN',
    {
      client: clientIn('rome', { asn: 64_500 }),
      overrides: overrides({ clients: { asns: [64_500] }, pin: ['oslo'] }),
    },
    ['oslo'],
  ],
  [
    'pinned by continent',
    { overrides: overrides({ clients: { continents: ['EU'] }, pin: ['oslo'] }) },
    ['oslo'],
  ],
  [
    'all that an override states must fit',
    { overrides: overrides({ clients: { continents: ['EU'], asns: [64_500] }, pin: ['oslo'] }) },
    ['rome'],
  ],
  [
    'an override of another site does not count',
    { overrides: overrides({ clients: { continents: ['EU'] }, sites: ['music'], pin: ['oslo'] }) },
    ['rome'],
  ],
  [
    'a pin whose edges are not well does not bind',
    {
      candidates: [edge('tokyo', { condition: 'down' }), edge('rome')],
      overrides: overrides({ clients: { continents: ['EU'] }, pin: ['tokyo'] }),
    },
    ['rome'],
  ],
  [
    'the first pin that can be kept counts',
    {
      candidates: [edge('tokyo', { condition: 'down' }), edge('rome'), edge('oslo')],
      overrides: overrides(
        { clients: { continents: ['EU'] }, pin: ['tokyo'] },
        { clients: { countries: ['IT'] }, pin: ['oslo'] },
      ),
    },
    ['oslo'],
  ],
  ['what was measured wins over distance', { latencies: measuredTokyo }, ['tokyo']],
  [
    'an edge that sheds all sheds this client',
    { candidates: [edge('rome', { shed: 1 }), edge('oslo'), edge('lisbon')] },
    ['lisbon'],
    {
      rome: ['load', 'spilled'],
    },
  ],
  [
    'where all shed, none does',
    { candidates: [edge('rome', { shed: 1 }), edge('oslo', { shed: 1 })] },
    ['rome'],
  ],
  ['no edges, no answer', { candidates: [] }, []],
];

describe('decide', () => {
  const rows = ROWS.map(([says, asked, chosen, because]) => ({ says, asked, chosen, because }));
  it.each(rows)('$says', ({ asked, chosen, because = {} }) => {
    const decision = decided({ ...asked, site: { answers: 1, ...asked.site } });
    expect(names(decision.chosen)).toEqual(chosen);
    const drops = decision.verdicts.flatMap(({ step, dropped }) =>
      dropped.map(({ node, reason }) => ({ node, why: [step, reason] })),
    );
    // A last resort takes back what was dropped before it, so the last word counts.
    const last = Object.keys(because).map((name) => [
      name,
      drops.findLast(({ node }) => node === name)?.why,
    ]);
    expect(Object.fromEntries(last)).toEqual(because);
  });

  it('takes edges that are about equally near as equal, and shares them out by weight', () => {
    const mates = [
      edge('rome', { name: 'a', weight: 3 }),
      edge('rome', { name: 'b' }),
      edge('oslo'),
    ];
    const firsts = clients(4000).map((client) => {
      const { chosen } = decided({ client, candidates: mates });
      expect(chosen).toHaveLength(2);
      return chosen[0]?.name;
    });
    const share = firsts.filter((name) => name === 'a').length / firsts.length;
    expect(share).toBeCloseTo(0.75, 1);
  });

  it('shares out by what is asked for where that is given, whoever asks', () => {
    const mates = [edge('rome', { name: 'a' }), edge('rome', { name: 'b' })];
    const first = (client: Client, share: string) =>
      decided({ client, candidates: mates, share }).chosen[0]?.name;
    for (const path of ['/a.mp4', '/b.mp4', '/c.mp4', '/d.mp4']) {
      expect(new Set(clients(50).map((client) => first(client, path))).size).toBe(1);
    }
    const paths = clients(50).map(({ key }) => first(clientIn('rome'), key));
    expect(new Set(paths).size).toBe(2);
  });

  it('ranks those farther away behind, for clients that try one after the other', () => {
    expect(names(decided().ranked)).toEqual(['rome', 'lisbon', 'oslo', 'new-york', 'tokyo']);
  });

  it('sheds by degrees: a larger part adds clients and moves none back', () => {
    const [some, more] = [gone(0.2), gone(0.5)];
    expect(some.length / 1000).toBeCloseTo(0.2, 1);
    expect(more.length / 1000).toBeCloseTo(0.5, 1);
    const moreKeys = new Set(more.map(({ key }) => key));
    expect(some.every(({ key }) => moreKeys.has(key))).toBe(true);
  });

  it('gives clients of whom nothing is known all edges, evenly', () => {
    const firsts = clients(1000).map(({ key }) => {
      const client: Client = { network: prefix('10.0.0.0/8'), key, source: 'unknown' };
      return decided({ client }).chosen[0]?.name ?? '';
    });
    const counts = Map.groupBy(firsts, (name) => name);
    expect(counts.size).toBe(ALL.length);
    for (const list of counts.values()) expect(list.length / 1000).toBeCloseTo(0.2, 1);
  });
});

const clients = (count: number): Client[] =>
  Array.from({ length: count }, (_, i) =>
    clientIn('rome', { key: `10.${i >> 8}.${i & 255}.0/24` }),
  );

/** The clients in Rome who go elsewhere. */
const gone = (shed: number): Client[] =>
  clients(1000).filter((client) => {
    const candidates = [edge('rome', { shed }), edge('oslo')];
    return decided({ client, candidates }).chosen[0]?.name === 'oslo';
  });
