import { scenario } from './kit/scenario.ts';

// An uncacheable answer tells of its own variant only.

const ALONE = { midTiers: [] };
const BY_COOKIE = { Vary: 'Cookie' };
const front = { cacheControl: 'max-age=60', fields: BY_COOKIE, body: 'front' };
const mine = (user: string) => ({ cacheControl: 'private', fields: BY_COOKIE, body: user });
const authorized = (user: string) => ({ Authorization: `Bearer ${user}` });
const as = (user: string) => ({ Cookie: `sid=${user}` });

scenario('a private answer leaves what is stored for others', async ({ origin, edge }) => {
  origin.answers('/p', front, mine('alice'));
  await edge().get('/p').sees({ edge: 'uri-miss', body: 'front' });
  await edge().get('/p', as('alice')).sees({ edge: 'private', body: 'alice' });
  await edge().get('/p').sees({ edge: 'fresh', body: 'front' });
  await edge().get('/p', as('alice')).sees({ edge: 'hit-for-miss', body: 'alice' });
});

scenario('a private answer keeps nobody else from storing theirs', async ({ origin, edge }) => {
  origin.answers('/p', mine('alice'), front, mine('alice'));
  await edge().get('/p', as('alice')).sees({ edge: 'private' });
  await edge().get('/p').sees({ edge: 'uri-miss', body: 'front' });
  await edge().get('/p').sees({ edge: 'fresh', body: 'front' });
  await edge().get('/p', as('alice')).sees({ edge: 'hit-for-miss', body: 'alice' });
});

scenario('a private answer that does not say why is one of the known variants', async (world) => {
  const { origin, edge } = world;
  origin.answers('/p', front, { ...mine('alice'), fields: {} });
  await edge().get('/p').sees({ body: 'front' });
  await edge().get('/p', as('alice')).sees({ edge: 'private', body: 'alice' });
  await edge().get('/p').sees({ edge: 'fresh', body: 'front' });
});

scenario('a variant that turns private is stored no longer', ALONE, async (world) => {
  const { origin, edge, clock } = world;
  origin.answers('/p', front, { ...front, body: 'for bots' }, mine('nobody'));
  await edge().get('/p').sees({ body: 'front' });
  await edge().get('/p', as('bot')).sees({ edge: 'vary-miss', body: 'for bots' });
  clock.advance('59s');
  await edge().get('/p', as('bot')).sees({ edge: 'fresh', body: 'for bots' });
  clock.advance('2s');
  await edge().get('/p').sees({ edge: 'private', body: 'nobody' });
  await origin.down();
  await edge().get('/p').sees({ status: 502 });
  await edge().get('/p', as('bot')).sees({ edge: 'stale-if-error', body: 'for bots' });
});

scenario('the answers of different users are not waited for', ALONE, async (world) => {
  const { origin, edge, gate } = world;
  const slow = gate();
  origin.answers('/p', mine('alice'), { ...mine('bob'), waitsFor: slow }, mine('carol'), front);
  await edge().get('/p', as('alice')).sees({ body: 'alice' });
  const bob = edge().get('/p', as('bob'));
  await slow.reached();
  await edge().get('/p', as('carol')).sees({ body: 'carol' });
  await edge().get('/p').sees({ body: 'front' });
  slow.open();
  await bob.sees({ body: 'bob' });
});

scenario('answers to the authorized are not waited for by others', ALONE, async (world) => {
  const { origin, edge, gate } = world;
  const slow = gate();
  const answer = { cacheControl: 'max-age=60', body: 'public' };
  origin.answers('/p', answer, { ...answer, waitsFor: slow }, answer);
  await edge().get('/p', authorized('alice')).sees({ edge: 'authorization' });
  const bob = edge().get('/p', authorized('bob'));
  await slow.reached();
  await edge().get('/p', authorized('alice')).sees({ edge: 'hit-for-miss' });
  await edge().get('/p', authorized('carol')).sees({ edge: 'authorization' });
  await edge().get('/p').sees({ edge: 'uri-miss' });
  await edge().get('/p').sees({ edge: 'fresh' });
  slow.open();
  await bob.sees({ body: 'public' });
});

scenario('a purge forgets which variants were private', ALONE, async ({ origin, edge, purge }) => {
  origin.answers('/p', mine('alice'), { ...front, body: 'for alice' });
  await edge().get('/p', as('alice')).sees({ edge: 'private' });
  purge(['/p']);
  await edge().get('/p', as('alice')).sees({ edge: 'uri-miss', body: 'for alice' });
});

scenario('a validation by the authorized leaves what others are given', ALONE, async (world) => {
  const { origin, edge, clock } = world;
  origin.answers('/p', { cacheControl: 'max-age=10', etag: '"1"', body: 'public' });
  await edge().get('/p').sees({ body: 'public' });
  clock.advance('11s');
  await edge().get('/p', authorized('alice')).sees({ edge: 'stale', body: 'public' });
  await origin.down();
  await edge().get('/p').sees({ edge: 'stale-if-error', body: 'public' });
});

const HONOURING = { site: { cache: { honourClientCacheControl: true } } };

scenario('what a client wants stored by nobody is stored nowhere', HONOURING, async (world) => {
  const { origin, edge } = world;
  const unstored = { 'Cache-Control': 'no-store' };
  origin.answers('/p', { ...front, body: 'mine' }, front);
  await edge().get('/p', unstored).sees({ edge: 'request', midTier: 'request', body: 'mine' });
  await edge().get('/p').sees({ edge: 'uri-miss', midTier: 'uri-miss', body: 'front' });
  await edge().get('/p', unstored).sees({ edge: 'fresh', body: 'front' });
});
