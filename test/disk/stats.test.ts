import { afterEach, expect, test } from 'vitest';
import { Body } from '#core/cache/body.ts';
import { MemoryStore } from '#core/cache/memory.ts';
import { EVICTION_REASONS } from '#core/cache/tally.ts';
import { TieredStore } from '#core/cache/tiered.ts';
import { Samples } from '#core/telemetry/samples.ts';
import { sampleStore, sampleTally } from '#core/telemetry/store-samples.ts';
import { object, purge } from '#test/contract/object-store.ts';
import { openDisk, type OpenDisk } from './support.ts';

let disk: OpenDisk | undefined;
afterEach(async () => {
  await disk?.close();
  disk = undefined;
});

const sized = (site: string, key: string, bytes: number) =>
  object({ key, site, body: new Body([Buffer.alloc(bytes, key)]) });

/** Values of a metric by their labels. */
const read = ({ byMetric }: Samples, name: string): Record<string, number> =>
  Object.fromEntries([...byMetric].find(([metric]) => metric === name)?.[1] ?? []);

test('what each site has done in each tier adds up to what the tier has done', async () => {
  disk = await openDisk({ budgetBytes: 4_000_000 });
  const { keeper, store } = disk;
  const tiered = new TieredStore(new MemoryStore(1_000_000), store);
  for (let i = 0; i < 60; i++) {
    const site = i % 3 === 0 ? 'a' : 'b';
    await tiered.put(sized(site, `${site} ${i}`, i * 4000));
    await tiered.settled();
    tiered.lookup(`${site} ${i - (i % 5)}`);
  }
  await tiered.put(sized('a', 'a 0', 10), { maxVariants: 1 });
  expect(await tiered.put(sized('a', 'too large', 2_000_000))).toBe(false);
  tiered.purge('a 0', purge());
  tiered.delete('b 58');
  await tiered.settled();

  const whole = new Samples();
  for (const stats of tiered.stats()) sampleStore(stats, whole);
  const bySite = new Samples();
  for (const { tier, tally } of tiered.tallies()) sampleTally(tally, tier, bySite);
  keeper.sample(bySite);
  for (const what of ['hits', 'hit_bytes', 'stored', 'stored_bytes', 'refused', 'evicted_bytes']) {
    const sites = read(bySite, `canopy_site_store_${what}_total`);
    const tiers = read(whole, `canopy_store_${what}_total`);
    for (const tier of ['memory', 'disk']) {
      const ofTier = Object.entries(sites).filter(([labels]) => labels.endsWith(`\n${tier}`));
      const sum = ofTier.reduce((total, [, count]) => total + count, 0);
      expect({ what, tier, sum }).toEqual({ what, tier, sum: tiers[tier] });
    }
  }
  const evicted = read(bySite, 'canopy_site_store_evicted_total');
  for (const tier of ['memory', 'disk']) {
    expect(evicted[`b\n${tier}\ncapacity`]).toBeGreaterThan(0);
    for (const reason of EVICTION_REASONS) {
      const sum = ['a', 'b'].reduce(
        (total, site) => total + (evicted[`${site}\n${tier}\n${reason}`] ?? 0),
        0,
      );
      const all = read(whole, 'canopy_store_evicted_total')[`${tier}\n${reason}`];
      expect({ tier, reason, sum }).toEqual({ tier, reason, sum: all });
    }
  }
  expect(read(bySite, 'canopy_disk_files')['']).toBeGreaterThan(0);
});

test('the time that a thread waits for the disk is counted by what it waits for', async () => {
  disk = await openDisk();
  const { store } = disk;
  await store.put(sized('a', 'in a file', 300_000));
  await store.put(sized('a', 'in the index', 300));
  for (const key of ['in a file', 'in the index', 'nowhere']) {
    const body = store.lookup(key)[0]?.body;
    if (body !== undefined && !(body instanceof Body)) await Array.fromAsync(body.read());
  }
  const samples = new Samples();
  store.sample(samples);
  const counts = read(samples, 'canopy_disk_seconds');
  expect(counts['commit\n+Inf']).toBe(2);
  expect(counts['lookup\n+Inf']).toBe(3);
  expect(counts['write\n+Inf']).toBe(5);
  expect(counts['read\n+Inf']).toBeGreaterThanOrEqual(2);
});
