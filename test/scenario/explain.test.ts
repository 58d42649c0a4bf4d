import { expect } from 'vitest';
import type { ClientAsked, NodeExplanation } from '#core/contract/explain.ts';
import { scenario, type World } from './kit/scenario.ts';

const asked = (target: string, ...fields: string[]): ClientAsked => ({
  as: 'client',
  method: 'GET',
  scheme: 'http',
  authority: 'www.example.org',
  target,
  fields,
  address: '127.0.0.1',
});

/** What each tier says, the edge first. */
async function tiers(
  { edge, midTier }: Pick<World, 'edge' | 'midTier'>,
  question: ClientAsked,
): Promise<[edge: NodeExplanation, midTier: NodeExplanation | undefined]> {
  const { explanation, next } = await edge().explain(question);
  const above = next && (await midTier(explanation.parents.order[0]?.name).explain(next));
  return [explanation, above?.explanation];
}

scenario('a hit shows its key and its freshness', async (world) => {
  const { origin, edge, clock } = world;
  origin.answers('/logo', { cacheControl: 'max-age=60', body: 'logo' });
  await edge().get('/logo').sees({ status: 200 });
  clock.advance('20s');
  const [at, above] = await tiers(world, asked('/logo'));
  expect(at).toMatchObject({ verdict: 'hit', reason: 'fresh' });
  expect(above).toMatchObject({ verdict: 'hit', reason: 'fresh' });
});
