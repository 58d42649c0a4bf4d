import { scenario } from './kit/scenario.ts';

// Nothing of one client's reaches another, whatever way it takes through the cache.

const page = { cacheControl: 'max-age=10', etag: '"1"', body: 'page' };

scenario('a cookie that comes with a validation is for one client', async (world) => {
  const { origin, edge, clock } = world;
  origin.answers('/p', page, { ...page, fields: { 'Set-Cookie': 'sid=alice' } }, page);
  await edge().get('/p').sees({ status: 200 });
  clock.advance('11s');
  await edge().get('/p').sees({ body: 'page' });
  await edge()
    .get('/p')
    .sees({ body: 'page', headers: { 'set-cookie': undefined } });
});

scenario('a validation that makes an object private ends its sharing', async (world) => {
  const { origin, edge, clock } = world;
  const cacheControl = 'private, max-age=60';
  const mine = (user: string) => ({ ...page, cacheControl, fields: { 'X-User': user } });
  origin.answers('/p', page, mine('alice'), mine('bob'));
  await edge().get('/p').sees({ status: 200 });
  clock.advance('11s');
  await edge()
    .get('/p', { Cookie: 'alice' })
    .sees({ headers: { 'x-user': 'alice' } });
  await edge()
    .get('/p', { Cookie: 'bob' })
    .sees({ headers: { 'x-user': 'bob' } });
});

scenario('a validation that adds Vary leaves the object where it is found', async (world) => {
  const { origin, edge, clock } = world;
  origin.answers('/p', page, { ...page, fields: { Vary: 'Accept-Encoding' } });
  await edge().get('/p').sees({ status: 200 });
  clock.advance('11s');
  await edge().get('/p').sees({ edge: 'stale' });
  await edge().get('/p').sees({ edge: 'fresh' });
});

scenario('an authorized request does not turn caching off for others', async ({ origin, edge }) => {
  origin.answers('/p', { cacheControl: 'max-age=60', body: 'public' });
  await edge().get('/p', { Authorization: 'Basic x' }).sees({ status: 200 });
  await edge().get('/p').sees({ edge: 'uri-miss' });
  await edge().get('/p').sees({ edge: 'fresh' });
});

scenario('too many requests do not cost what is stored', async ({ origin, edge, clock }) => {
  origin.answers('/p', { ...page, etag: '"1"' }, { status: 429, body: 'slow down' });
  await edge().get('/p').sees({ body: 'page' });
  clock.advance('11s');
  await edge().get('/p').sees({ status: 429 });
  await origin.down();
  clock.advance('20s');
  await edge().get('/p').sees({ status: 200, body: 'page' });
});

scenario('what a site was fetching when it was deleted is not its successor’s', async (world) => {
  const { origin, edge, gate, publish, changeSite } = world;
  const slow = gate();
  const cacheControl = 'max-age=600';
  origin.answers(
    '/a',
    { cacheControl, body: 'of the old site', waitsFor: slow },
    { cacheControl, body: 'of the new site' },
  );
  const early = edge().get('/a');
  await slow.reached();
  publish({ type: 'site.delete', name: 'site' });
  changeSite({});
  await edge().get('/a').sees({ body: 'of the new site' });
  slow.open();
  await early;
  await edge().get('/a').sees({ edge: 'fresh', body: 'of the new site' });
});

scenario('variants are told apart by what the origin is told', async ({ origin, edge }) => {
  const fields = { Vary: 'Origin' };
  origin.answers(
    '/api',
    { cacheControl: 'max-age=60', fields, body: 'to nobody' },
    { cacheControl: 'max-age=60', fields, body: 'to the app' },
  );
  const app = { Origin: 'https://app.example' };
  // The field is for the edge alone, so the origin does not see it.
  await edge()
    .get('/api', { ...app, Connection: 'close, Origin' })
    .sees({ body: 'to nobody' });
  await edge().get('/api', app).sees({ edge: 'vary-miss', body: 'to the app' });
});

scenario('who joins late is told how old the answer is', { midTiers: [] }, async (world) => {
  const { origin, edge, clock, gate } = world;
  const middle = gate();
  origin.answers('/a', {
    cacheControl: 'max-age=60',
    body: Buffer.alloc(100_000, 'a'),
    pausesAt: { bytes: 50_000, gate: middle },
  });
  const first = edge().get('/a');
  await middle.reached();
  clock.advance('5s');
  const second = edge().get('/a', { Range: 'bytes=0-3' });
  await second.sees({ status: 206, age: 5, body: 'aaaa' });
  middle.open();
  await first.sees({ status: 200 });
});

scenario(
  'a continuation that is too short is not taken for the rest',
  { origins: 2, midTiers: [] },
  async (world) => {
    const { origins, edge } = world;
    const [first, second] = origins;
    const etag = '"1"';
    const body = 'abc'.repeat(3000);
    first?.answers(
      '/film',
      { cacheControl: 'max-age=60', etag, body, breaksAfter: 3000 },
      { status: 503 },
    );
    second?.answers('/film', { cacheControl: 'max-age=60', etag, body: body.slice(0, 5000) });
    await edge().get('/film').breaksOff();
    first?.answers('/film', { cacheControl: 'max-age=60', etag, body });
    await second?.down();
    await edge().get('/film').sees({ status: 200, edge: 'partial', body });
  },
);
