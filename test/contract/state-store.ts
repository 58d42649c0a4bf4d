import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { StateStore } from '#control-plane/state/store.ts';
import type { TokenRecord } from '#control-plane/state/token.ts';
import type { JournalEntry, JournalEvent } from '#core/contract/event.ts';
import { nodeSchema } from '#core/contract/node.ts';
import { siteSchema } from '#core/contract/site.ts';
import { applyEvent } from '#core/node/config.ts';
import { eventually } from '#test/control-plane/kit.ts';
import { recordsContract } from './records.ts';

const network = { tierKey: 'tier-key-of-the-network', publishKey: 'publish-key-of-origins' };
const siteOf = (name: string, host = `${name}.example`) =>
  siteSchema.parse({ name, hosts: [host], origin: { kind: 'push' } });
const certificateOf = (name: string) => ({
  name,
  site: null,
  names: [`${name}.example`],
  notAfter: 1,
  fingerprint: 'ab'.repeat(32),
});
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
const switchEvent = (sequence: number, site: string, id: 'first' | 'second' | 'other') =>
  at(sequence, {
    type: 'purge',
    purge: {
      id: `p${sequence}`,
      mode: 'hard',
      target: { kind: 'prefixes', site, prefixes: [`${site}.example/`] },
      release: {
        id: '019a6b1e-5c20-7d0f-9a51-3a8d5c1b2f60',
        manifest: (id[0] ?? '').replace(/[^a-f]/, 'e').repeat(64),
        atMs: sequence,
      },
    },
  });
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
const report = (sequence: number) => ({ sequence, objects: 1, bytes: 10, fills: 0 });
const begin = at(1, { type: 'network.put', network });
const canary = { nodes: ['edge-a'], change: { put: [siteOf('four')], delete: ['three'] } };
const undone = { nodes: ['edge-a'], change: { put: [siteOf('three')], delete: ['four'] } };
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

  recordsContract(() => store, reopen);

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
        at(15, { type: 'site.put', site: siteOf('four') }),
        banEvent(16, 's', 'four'),
        at(17, { type: 'sites.change', change: { put: [siteOf('three')], delete: ['four'] } }),
        at(18, { type: 'canary.begin', canary }),
        at(19, { type: 'canary.end', canary: undone }),
        at(20, { type: 'canary.begin', canary }),
        switchEvent(21, 'one', 'first'),
        switchEvent(22, 'three', 'other'),
        switchEvent(23, 'one', 'second'),
        at(24, { type: 'site.delete', name: 'three' }),
        at(25, { type: 'certificate.put', certificate: certificateOf('b') }),
        at(26, { type: 'certificate.put', certificate: certificateOf('a') }),
        at(27, { type: 'certificate.put', certificate: certificateOf('c') }),
        at(28, { type: 'certificate.delete', name: 'b' }),
      ];
      for (const event of events) expect(await store.append([event])).toBe(true);
      const expected = events.reduce(applyEvent, {
        journal: expect.any(String) as string,
        sequence: 0,
        network,
        sites: [],
        nodes: [],
        bans: [],
        certificates: [],
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
      expiresAt: null,
      previous: null,
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

    test('a token that is replaced is found by both digests, the one before that by none', async () => {
      const rotated = (digest: number, previous: Uint8Array): TokenRecord => ({
        ...token,
        digest: Uint8Array.of(digest),
        previous: { digest: previous, until: 9 },
      });
      const [second, third] = [rotated(8, token.digest), rotated(9, Uint8Array.of(8))];
      await store.addToken(token);
      expect(await store.replaceToken(second, Uint8Array.of(1))).toBe(false);
      expect(await store.replaceToken(second, token.digest)).toBe(true);
      await reopen();
      expect(await store.tokenByDigest(token.digest)).toEqual(second);
      expect(await store.tokenByDigest(second.digest)).toEqual(second);
      expect(await store.replaceToken(third, token.digest)).toBe(false);
      expect(await store.replaceToken(third, second.digest)).toBe(true);
      expect(await store.tokenByDigest(token.digest)).toBeUndefined();
      expect(await store.tokenByDigest(second.digest)).toEqual(third);
      expect(await store.tokens()).toEqual([third]);
      expect(await store.deleteToken('deploy', second.digest)).toBe(false);
      expect(await store.deleteToken('deploy', third.digest)).toBe(true);
      expect(await store.tokenByDigest(second.digest)).toBeUndefined();
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
      expect((await store.standings.read()).completedFence).toBe(0);
      const complete = { ...purgeOf('p', 2, 'complete'), completedAt: 9 };
      await store.updatePurge(complete);
      await reopen();
      expect(await store.purge('p')).toEqual(complete);
      expect((await store.pendingPurges()).map(({ id }) => id)).toEqual(['q']);
      expect((await store.standings.read()).completedFence).toBe(2);
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
        const request = { key: id, digest: 'd' };
        const purge = { ...purgeOf(id, sequence, status), request };
        await store.append([purgeEvent(sequence, id)], { purge });
      }
      await store.trimJournal(0);
      await reopen();
      expect((await store.purges(9)).map(({ id }) => id)).toEqual(['p4', 'p3']);
      expect(await store.purgeByKey('p2')).toBeUndefined();
      expect(await store.purgeByKey('p3')).toMatchObject({ id: 'p3' });
      const purge = { ...purgeOf('p5', 5), request: { key: 'p2', digest: 'd' } };
      expect(await store.append([purgeEvent(5, 'p5')], { purge })).toBe(true);
      expect((await store.standings.read()).completedFence).toBe(4);
    });
  });

  test('what is told is heard by who watches, and kept nowhere', async () => {
    const heard: string[] = [];
    const told = (message: string): void => void heard.push(message);
    store.watch({ changed: async () => undefined, reconnected: () => undefined, told });
    await eventually(async () => {
      await store.tell('{"a":"æ"}');
      expect(heard).toContain('{"a":"æ"}');
    });
    expect(await store.content()).toBeUndefined();
  });

  describe('identity and content', () => {
    const renewed = { journal: 'another', sequence: 1_000 };

    test('a journal has an identity, which only who knows it can renew', async () => {
      expect(await store.head()).toBeUndefined();
      await store.append([begin, putOne]);
      const head = await store.head();
      expect(head).toEqual({ journal: expect.stringMatching(/.{16,}/) as string, sequence: 2 });
      await reopen();
      expect(await store.head()).toEqual(head);
      await store.renewJournal('unknown', renewed);
      expect(await store.head()).toEqual(head);
      await store.renewJournal(head?.journal ?? '', renewed);
      expect(await store.head()).toEqual(renewed);
      expect(await store.events(2, 9)).toBeUndefined();
      expect(await store.config()).toMatchObject({ ...renewed, sites: [{ name: 'one' }] });
      expect(await store.append([purgeEvent(1_001, 'p')])).toBe(true);
      expect(await store.events(1_000, 9)).toEqual([purgeEvent(1_001, 'p')]);
    });

    test('content put in place of other content is the same, and nothing else is left', async () => {
      const credential = { node: 'edge-a', digest: Uint8Array.of(1, 2, 3) };
      const previous = { digest: Uint8Array.of(6), until: 9 };
      const scopes = ['admin' as const];
      const token = { name: 't', scopes, sites: null, createdAt: 7, expiresAt: 8, previous };
      expect(await store.content()).toBeUndefined();
      await store.append([begin, putOne, at(3, { type: 'node.put', node: nodeOf('edge-a') })], {
        credential,
      });
      await store.append([purgeEvent(4, 'p')], { purge: purgeOf('p', 4, 'complete') });
      const request = { key: 'k', digest: 'd' };
      await store.append([banEvent(5, 'q', 'one')], { purge: { ...purgeOf('q', 5), request } });
      await store.append([at(6, { type: 'canary.begin', canary })]);
      await store.append([switchEvent(7, 'one', 'first')]);
      await store.addToken({ ...token, digest: Uint8Array.of(4) });
      for (const value of [1, 2]) await store.records.put({ kind: 'audit', id: 'a', value });
      const content = await store.content();
      expect(content).toMatchObject({
        config: {
          sequence: 7,
          sites: [{ name: 'one' }],
          nodes: [{ name: 'edge-a' }],
          bans: [{ id: 'q' }],
          canary,
          releases: { one: { manifest: 'f'.repeat(64), sequence: 7 } },
        },
        credentials: [credential],
        tokens: [token],
        purges: [{ id: 'p' }, { id: 'q' }],
        records: [{ kind: 'audit', id: 'a', revision: 2, value: 2 }],
      });
      if (content === undefined) return;

      await reset();
      await reopen();
      await store.append([begin, at(2, { type: 'site.put', site: siteOf('other') })]);
      const replaced = { ...purgeOf('r', 3), request: { key: 'other', digest: 'd' } };
      await store.append([banEvent(3, 'r', 'other')], { purge: replaced });
      await store.addToken({ ...token, name: 'other', digest: Uint8Array.of(5), previous: null });
      await store.records.put({ kind: 'release', id: 'r', value: 1 });
      await store.append([switchEvent(4, 'other', 'other')]);
      await store.replace(content);
      await reopen();
      expect(await store.content()).toEqual(content);
      expect(await store.events(0, 9)).toBeUndefined();
      expect(await store.events(7, 9)).toEqual([]);
      expect((await store.pendingPurges()).map(({ id }) => id)).toEqual(['q']);
      expect((await store.standings.read()).completedFence).toBe(4);
      expect(await store.credentialByDigest(credential.digest)).toMatchObject({ node: 'edge-a' });
      expect(await store.tokenByDigest(Uint8Array.of(5))).toBeUndefined();
      expect(await store.tokenByDigest(previous.digest)).toMatchObject({ name: 't' });
      expect(await store.purgeByKey('k')).toMatchObject({ id: 'q' });
      expect(await store.purgeByKey('other')).toBeUndefined();
      expect(await store.append([purgeEvent(8, 's')], { purge: purgeOf('s', 8) })).toBe(true);
    });
  });

  describe('standings', () => {
    const node = nodeOf('edge-a');
    const load = {
      requests: 0,
      hits: 0,
      upstreamRequests: 0,
      bytesSent: 0,
      objects: 0,
      storedBytes: 0,
      hitBytes: 0,
      connections: 0,
      tunnels: 0,
    };
    const said = {
      pid: 1,
      version: '1',
      load,
      parents: [],
      refusals: [],
      missingCertificates: [],
      ailments: [],
      answers: [],
    };
    const beat = (fence: number) => store.standings.heartbeat(node, { ...said, fence }, 5, 100);

    test('a fence only rises, until the node resumes from further behind', async () => {
      await store.standings.acknowledged(node, 5);
      await store.standings.acknowledged(node, 4);
      expect((await store.standings.read()).nodes[0]).toMatchObject({
        node: 'edge-a',
        tier: 'edge',
        fence: 5,
      });
      await store.standings.resumed(node, 3);
      expect((await store.standings.read()).nodes[0]).toMatchObject({ fence: 3, grant: undefined });
    });

    test('every grant is another, until the node leaves', async () => {
      const first = await beat(0);
      const second = await beat(0);
      expect(first?.id).not.toBe(second?.id);
      expect((await store.standings.read()).nodes[0]).toMatchObject({ grant: second });
      expect((await store.standings.heartbeats()).get('edge-a')).toMatchObject({ pid: 1, at: 5 });
      await store.standings.left(node);
      expect((await store.standings.read()).nodes[0]?.grant).toBeUndefined();
      await store.standings.presume([node], 100);
      expect((await store.standings.read()).nodes[0]?.grant).toMatchObject({ leaseMs: 100 });
      const presumed = (await store.standings.read()).nodes[0];
      await store.standings.presume([node], 100);
      expect((await store.standings.read()).nodes[0]).toEqual(presumed);
    });

    test('a fence is completed only while nobody with a lease is behind it', async () => {
      await beat(0);
      expect(await store.standings.complete(5, [])).toBe(false);
      const ended = (await store.standings.read()).nodes;
      await beat(0);
      expect(await store.standings.complete(5, ended)).toBe(false);
      expect((await store.standings.read()).completedFence).toBe(0);
      expect(await store.standings.complete(5, (await store.standings.read()).nodes)).toBe(true);
      expect(await beat(4)).toBeUndefined();
      expect(await beat(5)).toMatchObject({ leaseMs: 100 });
      await store.standings.acknowledged(node, 7);
      expect(await store.standings.complete(7, [])).toBe(true);
      expect(await store.standings.complete(6, [])).toBe(true);
      expect((await store.standings.read()).completedFence).toBe(7);
    });

    test('a node is forgotten unless it was granted a lease meanwhile', async () => {
      await beat(0);
      const [before] = (await store.standings.read()).nodes;
      await beat(0);
      if (before !== undefined) await store.standings.forget(before);
      const [now] = (await store.standings.read()).nodes;
      expect(now?.grant?.id).not.toBe(before?.grant?.id);
      if (now !== undefined) await store.standings.forget(now);
      expect((await store.standings.read()).nodes).toEqual([]);
      expect((await store.standings.heartbeats()).size).toBe(0);
    });

    test('a report is counted once, and those of several events add up', async () => {
      expect(await store.standings.report('p', 'edge-a', report(2))).toBe(true);
      expect(await store.standings.report('p', 'edge-a', report(2))).toBe(false);
      expect(await store.standings.report('p', 'edge-a', report(3))).toBe(true);
      await store.standings.report('q', 'edge-a', report(4));
      const reports = await store.standings.reports('p');
      expect([...reports]).toEqual([['edge-a', { objects: 2, bytes: 20, fills: 0 }]]);
    });
  });
}
