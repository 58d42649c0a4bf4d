import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { StateStore, TokenRecord } from '#control-plane/state/store.ts';
import type { JournalEntry, JournalEvent } from '#core/contract/event.ts';
import { nodeSchema } from '#core/contract/node.ts';
import { siteSchema } from '#core/contract/site.ts';
import { applyEvent } from '#core/node/config.ts';

const network = { tierKey: 'tier-key-of-the-network', publishKey: 'publish-key-of-origins' };
const siteOf = (name: string, host = `${name}.example`) =>
  siteSchema.parse({ name, hosts: [host], origin: { kind: 'push' } });
const nodeOf = (name: string) =>
  nodeSchema.parse({
    name,
    tier: 'edge',
    location: { name: 'oslo', latitude: 59.9, longitude: 10.7 },
    url: 'http://127.0.0.1:8080',
  });

const at = (sequence: number, entry: JournalEntry): JournalEvent => ({
  ...entry,
  sequence,
  at: 1_000 + sequence,
});
const purgeEvent = (sequence: number, id: string): JournalEvent =>
  at(sequence, {
    type: 'purge',
    purge: { id, mode: 'hard', target: { kind: 'site', site: 'one' } },
  });
const banEvent = (sequence: number, id: string, site: string): JournalEvent =>
  at(sequence, { type: 'purge', purge: { id, mode: 'ban', target: { kind: 'site', site } } });
const purgeOf = (id: string, sequence: number, status: 'pending' | 'complete' = 'pending') => ({
  id,
  mode: 'hard' as const,
  by: 'admin',
  targets: [{ kind: 'site' as const, site: 'one' }],
  sequences: [sequence],
  status,
  createdAt: 5,
  nodes: [],
});
const begin = at(1, { type: 'network.put', network });
const putOne = at(2, { type: 'site.put', site: siteOf('one') });

/**
 * What every StateStore keeps.
 * @param open opens the state of this test; after a close, opens the same state again
 * @param reset makes the state of the next test a new one
 */
export function stateStoreContract(
  open: () => Promise<StateStore>,
  reset: () => Promise<void>,
): void {
  let store: StateStore;

  beforeEach(async () => {
    await reset();
    store = await open();
  });
  afterEach(() => store.close());

  const reopen = async (): Promise<void> => {
    await store.close();
    store = await open();
  };

  describe('journal and configuration', () => {
    test('an empty journal has no configuration and no events', async () => {
      expect(await store.config()).toBeUndefined();
      expect(await store.events(0, 10)).toEqual([]);
    });

    test('the configuration is what the events add up to, also when opened again', async () => {
      const events = [
        begin,
        at(2, { type: 'site.put', site: siteOf('two') }),
        at(3, { type: 'site.put', site: siteOf('one') }),
        at(4, { type: 'node.put', node: nodeOf('edge-b') }),
        at(5, { type: 'node.put', node: nodeOf('edge-a') }),
        at(6, { type: 'site.put', site: siteOf('one', 'other.example') }),
        at(7, { type: 'node.delete', name: 'edge-b' }),
        purgeEvent(8, 'p'),
        banEvent(9, 'p', 'two'),
        banEvent(10, 'q', 'one'),
        banEvent(11, 'r', 'one'),
        at(12, { type: 'ban.lift', id: 'q' }),
        at(13, { type: 'site.delete', name: 'two' }),
        at(14, { type: 'network.put', network: { ...network, tierKey: 'another-tier-key' } }),
      ];
      for (const event of events) expect(await store.append([event])).toBe(true);
      const expected = events.reduce(applyEvent, {
        sequence: 0,
        network,
        sites: [],
        nodes: [],
        bans: [],
      });
      expect(await store.config()).toEqual(expected);
      await reopen();
      expect(await store.config()).toEqual(expected);
      expect(await store.events(0, 100)).toEqual(events);
    });

    test('events are read from any place, a page at a time', async () => {
      await store.append([begin, putOne, purgeEvent(3, 'p')]);
      expect((await store.events(1, 1))?.map(({ sequence }) => sequence)).toEqual([2]);
      expect((await store.events(1, 9))?.map(({ sequence }) => sequence)).toEqual([2, 3]);
      expect(await store.events(3, 9)).toEqual([]);
    });

    test.for([
      ['a repeated sequence', 2],
      ['a gap', 4],
    ] as const)('%s is refused and nothing is written', async ([, sequence]) => {
      await store.append([begin, putOne]);
      const before = await store.config();
      const late = at(sequence, { type: 'site.delete', name: 'one' });
      expect(await store.append([late], { purge: purgeOf('p', sequence) })).toBe(false);
      expect(await store.config()).toEqual(before);
      expect(await store.events(2, 9)).toEqual([]);
      expect(await store.purge('p')).toBeUndefined();
    });

    test('a batch that fails half-way leaves nothing behind', async () => {
      await store.append([begin, putOne, purgeEvent(3, 'p')], { purge: purgeOf('p', 3) });
      const before = await store.config();
      const batch = [at(4, { type: 'site.put', site: siteOf('two') }), purgeEvent(5, 'p')];
      await expect(store.append(batch, { purge: purgeOf('p', 5) })).rejects.toThrow(
        expect.objectContaining({ name: 'CanopyError' }),
      );
      expect(await store.config()).toEqual(before);
      expect(await store.append([at(4, { type: 'site.delete', name: 'one' })])).toBe(true);
    });

    test('a trimmed journal says that it no longer reaches back, and keeps the configuration', async () => {
      await store.append([begin, putOne, purgeEvent(3, 'p'), purgeEvent(4, 'q')]);
      const before = await store.config();
      await store.trimJournal(2);
      expect(await store.events(1, 9)).toBeUndefined();
      expect((await store.events(2, 9))?.map(({ sequence }) => sequence)).toEqual([3, 4]);
      await store.trimJournal(0);
      expect(await store.events(3, 9)).toBeUndefined();
      expect(await store.events(4, 9)).toEqual([]);
      expect(await store.config()).toEqual(before);
      expect(await store.append([purgeEvent(5, 'r')])).toBe(true);
    });
  });

  describe('credentials', () => {
    const credential = { node: 'edge-a', digest: Uint8Array.of(1, 2, 3) };

    test('a credential belongs to its node until the node is deleted', async () => {
      await store.append([begin, at(2, { type: 'node.put', node: nodeOf('edge-a') })], {
        credential,
      });
      expect((await store.credentialByDigest(credential.digest))?.node).toBe('edge-a');
      expect(await store.credentialByDigest(Uint8Array.of(9))).toBeUndefined();
      await store.append([at(3, { type: 'node.put', node: { ...nodeOf('edge-a'), capacity: 2 } })]);
      await reopen();
      expect((await store.credentialByDigest(credential.digest))?.node).toBe('edge-a');
      await store.append([at(4, { type: 'node.delete', name: 'edge-a' })]);
      expect(await store.credentialByDigest(credential.digest)).toBeUndefined();
    });
  });

  describe('tokens', () => {
    const token: TokenRecord = {
      name: 'deploy',
      digest: Uint8Array.of(4, 5, 6),
      scopes: ['purge', 'publish'],
      sites: ['one'],
      createdAt: 7,
    };

    test('a token is found by its digest, listed, and deleted', async () => {
      expect(await store.addToken(token)).toBe(true);
      await reopen();
      expect(await store.tokenByDigest(token.digest)).toEqual(token);
      expect(await store.tokens()).toEqual([token]);
      expect(await store.deleteToken('deploy')).toBe(true);
      expect(await store.deleteToken('deploy')).toBe(false);
      expect(await store.tokenByDigest(token.digest)).toBeUndefined();
    });

    test('a name is taken once', async () => {
      await store.addToken(token);
      expect(await store.addToken({ ...token, digest: Uint8Array.of(7) })).toBe(false);
      expect(await store.tokens()).toEqual([token]);
    });
  });

  describe('purges', () => {
    test('a purge is pending until it is updated, also when opened again', async () => {
      await store.append([begin, purgeEvent(2, 'p')], { purge: purgeOf('p', 2) });
      await store.append([purgeEvent(3, 'q')], { purge: purgeOf('q', 3) });
      await reopen();
      expect((await store.pendingPurges()).map(({ id }) => id)).toEqual(['p', 'q']);
      expect(await store.completedFence()).toBe(0);
      const complete = { ...purgeOf('p', 2, 'complete'), completedAt: 9 };
      await store.updatePurge(complete);
      await reopen();
      expect(await store.purge('p')).toEqual(complete);
      expect((await store.pendingPurges()).map(({ id }) => id)).toEqual(['q']);
      expect(await store.completedFence()).toBe(2);
      expect((await store.purges(9)).map(({ id }) => id)).toEqual(['q', 'p']);
      expect((await store.purges(1)).map(({ id }) => id)).toEqual(['q']);
      expect((await store.purges(9, 3)).map(({ id }) => id)).toEqual(['p']);
    });

    test('a purge is found by the key of its request, which no other can have', async () => {
      const request = { key: 'k', digest: 'd' };
      await store.append([begin, purgeEvent(2, 'p')], { purge: { ...purgeOf('p', 2), request } });
      await store.append([purgeEvent(3, 'q')], { purge: purgeOf('q', 3) });
      await store.append([purgeEvent(4, 'r')], { purge: purgeOf('r', 4) });
      expect(await store.purgeByKey('k')).toMatchObject({ id: 'p', request });
      expect(await store.purgeByKey('other')).toBeUndefined();
      const again = store.append([purgeEvent(5, 's')], { purge: { ...purgeOf('s', 5), request } });
      await expect(again).rejects.toThrow(expect.objectContaining({ name: 'CanopyError' }));
      expect(await store.events(4, 9)).toEqual([]);
    });

    test('trimming forgets old completed purges, but never the latest nor a pending one', async () => {
      await store.append([begin]);
      for (const [sequence, status] of [
        [2, 'complete'],
        [3, 'pending'],
        [4, 'complete'],
      ] as const) {
        const id = `p${sequence}`;
        await store.append([purgeEvent(sequence, id)], { purge: purgeOf(id, sequence, status) });
      }
      await store.trimJournal(0);
      expect((await store.purges(9)).map(({ id }) => id)).toEqual(['p4', 'p3']);
      expect(await store.completedFence()).toBe(4);
    });
  });
}
