import { expect } from 'vitest';
import { scenario, type World } from './kit/scenario.ts';

const fresh = { cacheControl: 'max-age=3600' };
const cast = { site: { origin: { kind: 'push' as const } } };

/** The scripted origin as the network's own. */
function addOrigin({ origin, publish }: World): void {
  const location = { name: 'oslo', latitude: 0, longitude: 0 };
  const node = { name: 'origin', tier: 'origin' as const, url: origin.url, location };
  publish({ type: 'node.put', node: { ...node, capacity: 1, draining: false } });
}

/** As an origin answers that has switched with event `sequence`. */
const vouching = (sequence: number) => ({ fields: { 'Canopy-Fence': String(sequence) } });

const sequenceOf = ({ edge }: World): number => edge().node.engine.fence.sequence;

scenario(
  'who is given something of a release is given nothing older afterwards',
  cast,
  async (world) => {
    const { origin, edge, midTier, purge } = world;
    addOrigin(world);
    origin.answers('/style.css', { ...fresh, body: 'old style' });
    await edge().get('/style.css').sees({ body: 'old style' });
    const release = sequenceOf(world) + 1;
    edge().lags();
    midTier().lags();
    purge(['/index.html', '/style.css']);
    origin.answers('/index.html', { ...fresh, ...vouching(release), body: 'new page' });
    const seen: string[] = [];
    const asked = edge().get('/index.html');
    const answered = asked.sees({ body: 'new page' }).then(() => seen.push('answered'));
    await expect.poll(() => origin.requests).toBe(2);
    // Somebody else is answered meanwhile, from what is stored.
    await edge().get('/style.css').sees({ body: 'old style' });
    seen.push('caught up');
    midTier().catchesUp();
    edge().catchesUp();
    await answered;
    expect(seen).toEqual(['caught up', 'answered']);
    origin.answers('/style.css', { ...fresh, ...vouching(release), body: 'new style' });
    await edge().get('/style.css').sees({ body: 'new style' });
  },
);

scenario('a node whose link hangs waits for it briefly', cast, async (world) => {
  const { origin, edge, midTier, purge, clock } = world;
  addOrigin(world);
  const release = sequenceOf(world) + 1;
  edge().lags();
  midTier().lags();
  purge(['/index.html']);
  // Asked of a parent that is slow.
  origin.answers('/.canopy/health', {});
  origin.answers('/index.html', { ...fresh, ...vouching(release), body: 'new page' });
  const answered = edge().get('/index.html').sees({ body: 'new page' });
  let isAnswered = false;
  void answered.then(() => (isAnswered = true));
  await expect
    .poll(() => {
      clock.advance('250ms');
      return isAnswered;
    })
    .toBe(true);
});

scenario("what customers' servers say of fences is nothing to wait for", async (world) => {
  const { origin, edge } = world;
  origin.answers('/a', { ...fresh, fields: { 'Canopy-Fence': '1000000' }, body: 'a' });
  await edge().get('/a').sees({ body: 'a' });
});
