import { expect } from 'vitest';
import type { ClientAsked, NodeExplanation } from '#core/contract/explain.ts';
import { fieldValue } from '#core/http/fields.ts';
import { sealKeysOf } from '#core/latency/seal.ts';
import { EXPLAIN_FIELD, sealExplainToken } from '#core/explain/token.ts';
import { Telling } from '#edge/told.ts';
import { type Cast, scenario, type World } from './kit/scenario.ts';

const HOST = 'www.example.org';

const asked = (target: string, ...fields: string[]): ClientAsked => ({
  as: 'client',
  method: 'GET',
  scheme: 'http',
  authority: HOST,
  target,
  fields,
  address: '127.0.0.1',
});

const faresOf = ({ rules }: NodeExplanation): unknown =>
  rules.map(({ name, unmet }) => [name, unmet]);

interface Told {
  readonly edge: NodeExplanation;
  readonly midTier: NodeExplanation | undefined;
}

/** What each tier on the way says. */
async function tell({ edge, midTier }: World, question: ClientAsked): Promise<Told> {
  const { explanation, next } = await edge().explain(question);
  const [parent] = explanation.parents.order;
  const above = next && (await midTier(parent?.name).explain(next));
  return { edge: explanation, midTier: above?.explanation };
}

/** What is told, once the request itself has been seen to come to the same. */
async function foretold(
  world: World,
  target: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Told> {
  const told = await tell(world, asked(target, ...Object.entries(headers).flat()));
  const seen = await world.edge().get(target, headers);
  const [midTier, edge] = seen.tiers.length > 1 ? seen.tiers : [undefined, seen.tiers[0]];
  expect(edge?.parameters['detail']).toBe(told.edge.reason);
  if (told.edge.parents.asks && told.edge.reason !== 'stale-while-revalidate') {
    expect(midTier?.parameters['detail']).toBe(told.midTier?.reason);
  }
  return told;
}

type SiteInput = NonNullable<Cast['site']>;

const NO_CACHE = { 'Cache-Control': 'no-cache' };
const PHONE = { 'User-Agent': 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Mobile' };
const GERMAN = { 'Accept-Language': 'de-AT' };
const FRENCH = { 'Accept-Language': 'fr' };
const cacheable = { cacheControl: 'max-age=60', body: 'it' };

scenario('a hit shows its key, and what its freshness comes from', async (world) => {
  const { origin, edge, clock } = world;
  origin.answers('/logo', { ...cacheable, fields: { Age: '5' } });
  await edge().get('/logo').sees({ status: 200 });
  clock.advance('20s');
  const { edge: told, midTier } = await foretold(world, '/logo');
  expect(told).toMatchObject({
    verdict: 'hit',
    reason: 'fresh',
    because: 'what is stored is fresh for another 35 s',
    key: { text: `site http://${HOST}/logo` },
    parents: { asks: false },
    near: null,
  });
  expect(told.stored).toMatchObject([{ suits: true, freshness: { leftMs: 35_000 } }]);
  const terms = told.stored[0]?.freshness.terms ?? [];
  expect(terms.map(({ name, ms }) => [name, ms])).toEqual([
    ['max-age', 60_000],
    ['age on arrival', -5_000],
    ['time stored', -20_000],
  ]);
  expect(midTier).toMatchObject({ verdict: 'hit' });
});

scenario(
  'a miss names the stored keys that differ in the query alone, and what would join them',
  { site: { key: { query: { exclude: ['gclid'] } } } },
  async (world) => {
    const { origin, edge } = world;
    for (const target of ['/a', '/a?utm_source=x', '/a?utm_source=y', '/b']) {
      origin.answers(target, cacheable);
    }
    await edge().get('/a').sees({ status: 200 });
    await edge().get('/a?utm_source=x').sees({ status: 200 });
    await edge().get('/b').sees({ status: 200 });
    const { edge: told } = await foretold(world, '/a?utm_source=y&gclid=1');
    expect(told).toMatchObject({
      verdict: 'miss',
      because: 'nothing stored under this key; 2 stored keys differ only in `utm_source`',
      near: { looked: 3, of: 3, sampled: false },
      hints: [{ setting: 'key.query' }],
    });
    expect(told.near?.keys.map(({ key }) => key)).toEqual([
      `site http://${HOST}/a`,
      `site http://${HOST}/a?utm_source=x`,
    ]);
    const query = told.key?.inputs.filter(({ part }) => part === 'query');
    expect(query).toMatchObject([
      { name: 'utm_source', value: 'y', counts: true, why: expect.stringContaining('exclude') },
      { name: 'gclid', value: '1', counts: false, why: 'left out: key.query.exclude' },
    ]);
  },
);

scenario('a miss by Vary shows the field that differs, cookies masked', async (world) => {
  const { origin, edge } = world;
  const fields = { Vary: 'Accept-Language, Cookie' };
  origin.answers('/page', { ...cacheable, fields });
  const known = { 'Accept-Language': 'de', Cookie: 'who=alice' };
  await edge().get('/page', known).sees({ status: 200 });
  const { edge: told } = await foretold(world, '/page', { ...known, Cookie: 'who=mallory' });
  expect(told).toMatchObject({
    verdict: 'miss',
    reason: 'vary-miss',
    stored: [{ suits: false, differences: [{ part: 'vary', name: 'cookie' }] }],
    hints: [{ setting: 'key.cookies' }],
  });
  expect(JSON.stringify(told)).not.toMatch(/alice|mallory/);
});

scenario('a purge shows by what, and where in the journal', async (world) => {
  const { origin, edge, purge } = world;
  origin.answers('/news', { ...cacheable, fields: { 'Cache-Tag': 'front, all' } });
  await edge().get('/news').sees({ status: 200 });
  const sequence = edge().node.config.sequence + 1;
  purge({ kind: 'tags', site: 'site', tags: ['front'] }, 'soft');
  const soft = await foretold(world, '/news');
  expect(soft.edge.stored[0]?.purges).toMatchObject([
    { scope: 'tag', name: 'front', mode: 'soft', sequence },
  ]);
  purge({ kind: 'prefixes', site: 'site', prefixes: [`${HOST}/news`] }, 'hard');
  const hard = await tell(world, asked('/news'));
  expect(hard.edge).toMatchObject({ verdict: 'miss' });
  expect(['purged', 'uri-miss']).toContain(hard.edge.reason);
});

scenario('a ban shows', async (world) => {
  const { origin, edge, purge } = world;
  origin.answers('/old', cacheable);
  await edge().get('/old').sees({ status: 200 });
  purge(['/old'], 'ban');
  const { edge: told } = await tell(world, asked('/old'));
  expect(told).toMatchObject({
    banned: true,
    because: 'nothing stored under this key; a ban keeps it from being stored',
  });
});

scenario(
  'a lost link shows, and that the site says to revalidate',
  { site: { onLeaseEnd: 'revalidate' } },
  async (world) => {
    const { origin, edge } = world;
    origin.answers('/logo', { ...cacheable, etag: '"1"' });
    await edge().get('/logo').sees({ status: 200 });
    edge().losesLease();
    const { edge: told } = await foretold(world, '/logo');
    expect(told).toMatchObject({ leaseEnded: true, verdict: 'revalidate', reason: 'lease-ended' });
  },
);

scenario('a mid-tier that is behind the edge says so', async (world) => {
  const { origin, edge, midTier, purge } = world;
  origin.answers('/logo', cacheable);
  await edge().get('/logo').sees({ status: 200 });
  midTier().lags();
  purge(['/logo']);
  const { edge: told, midTier: above } = await tell(world, asked('/logo'));
  expect(told).toMatchObject({ verdict: 'miss', reason: 'uri-miss' });
  expect(above).toMatchObject({ verdict: 'miss', reason: 'fence-behind' });
  expect(above?.fence).toBeLessThan(told.fence);
});

scenario('what is passed on shows why the last answer was not stored', async (world) => {
  const { origin, edge } = world;
  origin.answers('/me', { ...cacheable, fields: { 'Set-Cookie': 'id=1' } });
  await edge().get('/me').sees({ status: 200 });
  const { edge: told } = await foretold(world, '/me');
  expect(told).toMatchObject({
    verdict: 'pass',
    reason: 'hit-for-miss',
    hitForMiss: true,
    because: expect.stringContaining('set a cookie'),
    hints: [{ setting: 'cache.storeSetCookie' }],
  });
});

scenario('a host of no site is refused, and so is what cannot be a request', async (world) => {
  const elsewhere = await tell(world, { ...asked('/'), authority: 'elsewhere.test' });
  expect(elsewhere.edge).toMatchObject({ verdict: 'refused', reason: 'unknown-host', status: 421 });
  expect(elsewhere.edge).toMatchObject({ site: null, key: null });
  const { edge } = await tell(world, asked('/a%zz'));
  expect(edge).toMatchObject({ verdict: 'refused', reason: 'invalid-request', status: 400 });
});

scenario(
  'rules show how they fare: what changes the request, what answers, what refuses',
  {
    site: {
      rules: [
        { name: 'move', match: { path: '/old/*' }, rewrite: { from: '/old/*', to: '/new/${1}' } },
        { name: 'no-bots', match: { headers: { 'user-agent': '*bot*' } }, deny: true },
        { name: 'away', match: { path: '/gone' }, redirect: { to: '/here' } },
      ],
    },
  },
  async (world) => {
    const away = await tell(world, asked('/gone'));
    expect(faresOf(away.edge)).toEqual([
      ['move', 'path'],
      ['no-bots', 'headers'],
      ['away', null],
    ]);
    expect(away.edge).toMatchObject({ verdict: 'own-answer', reason: 'redirect' });
    const denied = await tell(world, asked('/old/a', 'User-Agent', 'a bot'));
    expect(denied.edge).toMatchObject({ verdict: 'refused', reason: 'denied', status: 403 });
    world.origin.answers('/new/a', cacheable);
    const moved = await foretold(world, '/old/a');
    expect(moved.edge).toMatchObject({
      reason: 'uri-miss',
      key: { text: `site http://${HOST}/new/a` },
    });
    expect(moved.edge.key?.inputs).toContainEqual({
      part: 'path',
      name: null,
      value: '/new/a',
      counts: true,
      why: 'of /old/a, by the rules of the site',
    });
  },
);

scenario('stale within its window is served, and renewed behind', async (world) => {
  const { origin, edge, clock } = world;
  origin.answers('/news', { cacheControl: 'max-age=10, stale-while-revalidate=60', body: 'new' });
  await edge().get('/news').sees({ status: 200 });
  clock.advance('15s');
  const { edge: told } = await foretold(world, '/news');
  expect(told).toMatchObject({
    verdict: 'stale',
    reason: 'stale-while-revalidate',
    because: expect.stringContaining('went stale 5 s ago, within stale-while-revalidate (60 s)'),
    parents: { asks: true },
  });
});

scenario(
  'parents show in their order, those left out with the reason',
  { midTiers: ['frankfurt', 'london', 'paris'] },
  async (world) => {
    const { edge, midTier, publish } = world;
    const { nodes } = edge().node.config;
    const paris = nodes.find(({ name }) => name === 'paris');
    if (paris === undefined) throw new Error('There is Paris');
    publish({ type: 'node.put', node: { ...paris, draining: true } });
    const before = await tell(world, asked('/a'));
    const [first, second] = before.edge.parents.order.map(({ name }) => name);
    expect(new Set([first, second])).toEqual(new Set(['frankfurt', 'london']));
    expect(before.edge.parents.skipped).toMatchObject([
      { name: 'paris', why: 'it is being drained' },
    ]);
    edge().node.checked(new Set([first ?? '']));
    const after = await tell(world, asked('/a'));
    expect(after.edge.parents.order[0]?.name).toBe(second);
    expect(after.edge.parents.order.find(({ name }) => name === first)).toMatchObject({
      place: 'open',
      why: 'asked only where no other is left; health checks have it down',
    });
    expect(after.midTier?.node).toBe(second);
    expect(midTier(second).errors).toEqual([]);
  },
);

scenario('a fill under way shows who waits for it, and that it would be shared', async (world) => {
  const { origin, edge, gate, clock } = world;
  const held = gate();
  origin.answers('/slow', { ...cacheable, waitsFor: held });
  const first = edge().get('/slow');
  await held.reached();
  clock.advance('2s');
  const { edge: told, midTier } = await tell(world, asked('/slow'));
  expect(told.fill).toEqual({ ageMs: 2000, waiters: 1, behind: false, shared: true });
  expect(midTier?.fill).toMatchObject({ waiters: 1, shared: true });
  held.open();
  await first.sees({ status: 200 });
});

scenario(
  'guards show how they would fare, and count nothing',
  {
    site: {
      rules: [
        { name: 'slow-down', rateLimit: { requests: 1, windowSeconds: 60, announce: true } },
        { name: 'ours', match: { path: '/img/*' }, hotlink: { allow: [] } },
        { match: { path: '/app/*' }, requireToken: { jwks: 'https://id.test/keys' } },
        { match: { path: '/signed/*' }, requireSignature: {} },
      ],
    },
  },
  async (world) => {
    const { origin, edge } = world;
    origin.answers('/a', cacheable);
    for (let i = 0; i < 3; i++) {
      const { edge: told } = await tell(world, asked('/a'));
      expect(told.guards).toMatchObject([{ guard: 'rateLimit', admits: null }]);
    }
    await edge().get('/a').sees({ status: 200 });
    await edge().get('/a').sees({ status: 429 });
    const foreign = await tell(world, asked('/img/a', 'Referer', 'https://elsewhere.test/'));
    expect(foreign.edge).toMatchObject({ verdict: 'refused', reason: 'hotlink-denied' });
    const anonymous = await tell(world, asked('/app/a'));
    expect(anonymous.edge).toMatchObject({ verdict: 'refused', reason: 'token-missing' });
    const unsigned = await tell(world, asked('/signed/a'));
    expect(unsigned.edge).toMatchObject({ verdict: 'refused', reason: 'signature-missing' });
  },
);

scenario(
  'a function is named, and not run',
  {
    site: {
      functions: {
        main: { source: "export const onRequest = () => ({ status: 403, body: 'no' });" },
      },
      rules: [{ function: 'main' }],
    },
  },
  async (world) => {
    const { edge: told } = await tell(world, asked('/a'));
    expect(told).toMatchObject({
      verdict: 'miss',
      guards: [{ guard: 'function', admits: null, why: expect.stringContaining('not run') }],
    });
  },
);

scenario(
  'explaining changes nothing: no counter, no use of what is stored, no demand, no request',
  { site: { cache: { refreshAhead: 0.5 } }, memoryBytes: 64 * 1024 },
  async (world) => {
    const { origin, edge, midTier, clock } = world;
    origin.answers('/a', { cacheControl: 'max-age=100', body: 'it' });
    await edge().get('/a').sees({ status: 200 });
    clock.advance('70s');
    origin.saw('GET /a');
    const stateOf = (): unknown =>
      [edge(), midTier()].map(({ node }) => [
        node.load(),
        node.engine.store.stats(),
        node.engine.underWay,
        node.engine.counters,
        node.counters.requests,
      ]);
    const before = JSON.stringify(stateOf());
    for (let i = 0; i < 5; i++) {
      await tell(world, asked('/a'));
      await tell(world, asked('/b', 'Cookie', 'a=b'));
    }
    expect(JSON.stringify(stateOf())).toBe(before);
    origin.saw();
    // One who has asked for it lately would make the next request renew it.
    await edge().get('/a').sees({ edge: 'fresh' });
  },
);

const untold = (because: string): string[] => [
  'Canopy-Explained',
  JSON.stringify({ node: 'oslo', because }),
];

const token = ({ edge, clock }: World, site = 'site', forMs = 60_000): string =>
  sealExplainToken(sealKeysOf(edge().node.config.network), { site, until: clock.now() + forMs });

scenario('a signed header has every tier explain in the answer', async (world) => {
  const { origin, edge } = world;
  origin.notes('canopy-explain', 'canopy-explained');
  origin.answers('/a', cacheable);
  const headers = { [EXPLAIN_FIELD]: token(world) };
  const linesOf = async (): Promise<Record<string, unknown>[]> => {
    const { rawHeaders } = await edge().get('/a', headers);
    return rawHeaders.flatMap((name, i) =>
      i % 2 === 0 && name === 'Canopy-Explained' ? [JSON.parse(rawHeaders[i + 1] ?? '')] : [],
    );
  };
  expect(await linesOf()).toMatchObject([
    {
      node: 'oslo',
      tier: 'edge',
      verdict: 'miss',
      reason: 'uri-miss',
      parents: ['frankfurt', origin.url],
    },
    { node: 'frankfurt', tier: 'mid-tier', verdict: 'miss', parents: [origin.url] },
  ]);
  origin.saw('GET /a');
  expect(await linesOf()).toMatchObject([{ verdict: 'hit' }, { verdict: 'hit' }]);
  const { headers: plain } = await edge().get('/a');
  expect(plain).not.toHaveProperty('canopy-explained');
  const stored = edge().node.engine.store.peek(`site http://${HOST}/a`);
  expect(stored.map(({ fields }) => fieldValue(fields, 'canopy-explained'))).toEqual([undefined]);
});

scenario(
  'telling holds a request up for no longer than its patience, and not if it fails',
  async (world) => {
    const { edge, clock } = world;
    const { node } = edge();
    const exchange = {
      received: {
        method: 'GET',
        target: '/a',
        fields: ['Host', HOST, EXPLAIN_FIELD, token(world)],
        encrypted: false,
      },
      peerAddress: '127.0.0.1',
    };
    const others = { ask: () => Promise.resolve(undefined) };
    const failing = new Telling(node, others, () => Promise.reject(new Error('It cannot tell')));
    const late = 'it has not told in time, or is of an older version';
    expect(await failing.fieldsFor(exchange)).toEqual(untold(late));
    const hanging = new Telling(node, others, () => new Promise(() => undefined));
    const told = Array.from({ length: 4 }, () => hanging.fieldsFor(exchange));
    const busy = 'too many requests are explained just now';
    expect(await hanging.fieldsFor(exchange)).toEqual(untold(busy));
    clock.advance('2s');
    expect(await Promise.all(told)).toEqual(Array.from({ length: 4 }, () => untold(late)));
    await expect(
      failing.fieldsFor({ ...exchange, received: { ...exchange.received, fields: [] } }),
    ).resolves.toEqual([]);
  },
);

scenario('a header that is forged, has expired or is of another site is as none', async (world) => {
  const { origin, edge, clock } = world;
  origin.notes('canopy-explain');
  origin.answers('/a', cacheable);
  const ofAnother = sealKeysOf({ tierKey: 'a key of another network' });
  const until = clock.now() + 60_000;
  const bad = [
    'x',
    '',
    `${token(world)}x`,
    token(world, 'site', -1),
    token(world, 'other'),
    sealExplainToken(ofAnother, { site: 'site', until }),
  ];
  for (const value of bad) {
    const { status, headers } = await edge().get('/a', { [EXPLAIN_FIELD]: value });
    expect(status).toBe(200);
    expect(headers).not.toHaveProperty('canopy-explained');
  }
  origin.saw('GET /a');
});

scenario(
  'over a shield every tier is asked in turn',
  { midTiers: ['near', 'shield'] },
  async (world) => {
    const { edge, midTier, publish, changeSite } = world;
    for (const node of edge().node.config.nodes) {
      if (node.tier === 'mid-tier')
        publish({ type: 'node.put', node: { ...node, group: node.name } });
      else publish({ type: 'node.put', node: { ...node, group: 'near' } });
    }
    changeSite({ shieldGroup: 'shield' });
    const told = await edge().explain(asked('/a'));
    expect(told.explanation.parents.order[0]?.name).toBe('near');
    const above = told.next && (await midTier('near').explain(told.next));
    expect(above?.explanation.parents.order[0]?.name).toBe('shield');
    const shield = above?.next && (await midTier('shield').explain(above.next));
    expect(shield).toMatchObject({ explanation: { node: 'shield', verdict: 'miss' }, next: null });
  },
);

const FORMS: readonly [
  what: string,
  site: SiteInput,
  method: string,
  headers: Readonly<Record<string, string>>,
  reason: string,
][] = [
  ['HEAD', {}, 'HEAD', {}, 'fresh'],
  ['a condition', {}, 'GET', { 'If-None-Match': '"1"' }, 'fresh'],
  ['a range', {}, 'GET', { Range: 'bytes=0-1' }, 'fresh'],
  ['POST', {}, 'POST', {}, 'method'],
  ['a reload', { cache: { honourClientCacheControl: true } }, 'GET', NO_CACHE, 'request'],
  ['a reload that is not honoured', {}, 'GET', NO_CACHE, 'fresh'],
  ['compression', { compression: { enabled: true } }, 'GET', { 'Accept-Encoding': 'br' }, 'fresh'],
  ['another device', { key: { deviceClass: true } }, 'GET', PHONE, 'vary-miss'],
  ['a device alike', { key: { deviceClass: true } }, 'GET', { 'User-Agent': 'Other/2' }, 'fresh'],
  ['another cookie', { key: { cookies: ['a'] } }, 'GET', { Cookie: 'a=2' }, 'vary-miss'],
  ['a cookie that does not count', { key: { cookies: ['a'] } }, 'GET', { Cookie: 'b=2' }, 'fresh'],
  ['another language', { key: { language: ['en', 'de'] } }, 'GET', GERMAN, 'vary-miss'],
  ['a language that there is not', { key: { language: ['en', 'de'] } }, 'GET', FRENCH, 'fresh'],
];

for (const [what, site, method, headers, reason] of FORMS) {
  scenario(`what is told of ${what} is what comes of it`, { site }, async (world) => {
    const { origin, edge } = world;
    const answer = { ...cacheable, etag: '"1"' };
    origin.answers('/a', answer);
    origin.answersTo('POST /a', answer);
    await edge().get('/a').sees({ status: 200 });
    const question = { ...asked('/a', ...Object.entries(headers).flat()), method };
    const told = await tell(world, question);
    expect(told.edge.reason).toBe(reason);
    await edge().send('/a', { method, headers }).sees({ edge: reason });
  });
}

scenario('another origin that a rule chooses is part of the key', async (world) => {
  const { origin, edge, changeSite } = world;
  changeSite({
    origins: { blue: { kind: 'pull', servers: [{ url: origin.url }] } },
    rules: [{ match: { headers: { 'x-blue': true } }, origin: { name: 'blue' } }],
  });
  origin.answers('/a', cacheable);
  await edge().get('/a').sees({ status: 200 });
  const { edge: told, midTier } = await foretold(world, '/a', { 'X-Blue': '1' });
  expect(told).toMatchObject({
    reason: 'vary-miss',
    rules: [{ name: 'rules[0]', matches: true, actions: ['origin'] }],
    stored: [{ differences: [{ part: 'origin', asked: 'blue', stored: null }] }],
  });
  expect(midTier).toMatchObject({ reason: 'vary-miss' });
});
