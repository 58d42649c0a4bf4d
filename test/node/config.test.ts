import { expect, test } from 'vitest';
import type { Config, JournalEntry } from '#core/contract/event.ts';
import { nodeSchema } from '#core/contract/node.ts';
import type { Ban } from '#core/contract/purge.ts';
import { siteSchema } from '#core/contract/site.ts';
import { applyEvent } from '#core/node/config.ts';

const site = (name: string, host = 'a.example') =>
  siteSchema.parse({ name, hosts: [host], origin: { kind: 'push' } });
const location = { name: 'oslo', latitude: 59.9, longitude: 10.7 };
const node = nodeSchema.parse({ name: 'edge', tier: 'edge', location, url: 'http://[::1]:1' });
const network = { tierKey: 'a-key-of-16-chars' };
const ban = (id: string, name: string): Ban => ({
  id,
  sequence: 3,
  target: { kind: 'site', site: name },
});
const canary = { nodes: ['edge'], change: { put: [site('c')], delete: ['b'] } };
const config: Config = {
  journal: 'j',
  sequence: 4,
  network,
  sites: [site('b'), site('d')],
  nodes: [node],
  certificates: [],
  bans: [ban('x', 'b'), ban('y', 'd')],
};

test.for<[what: string, entry: JournalEntry, change: Partial<Config>]>([
  [
    'a new site takes its place by name',
    { type: 'site.put', site: site('c') },
    { sites: [site('b'), site('c'), site('d')] },
  ],
  [
    'a site is replaced where it is',
    { type: 'site.put', site: site('b', 'z.example') },
    { sites: [site('b', 'z.example'), site('d')] },
  ],
  [
    'a site is deleted, and what was banned of it',
    { type: 'site.delete', name: 'b' },
    { sites: [site('d')], bans: [ban('y', 'd')] },
  ],
  ['deleting what is not there changes nothing', { type: 'site.delete', name: 'x' }, {}],
  [
    'sites change together',
    { type: 'sites.change', change: { put: [site('c'), site('a')], delete: ['b'] } },
    { sites: [site('a'), site('c'), site('d')], bans: [ban('y', 'd')] },
  ],
  ['a canary is remembered, and changes no site', { type: 'canary.begin', canary }, { canary }],
  [
    'a node is put',
    { type: 'node.put', node: { ...node, capacity: 2 } },
    { nodes: [{ ...node, capacity: 2 }] },
  ],
  ['a node is deleted', { type: 'node.delete', name: 'edge' }, { nodes: [] }],
  [
    'the network is put',
    { type: 'network.put', network: { tierKey: 'another-16-char-key' } },
    { network: { tierKey: 'another-16-char-key' } },
  ],
  [
    'a purge moves the sequence only',
    { type: 'purge', purge: { id: 'p', mode: 'hard', target: { kind: 'site', site: 'b' } } },
    {},
  ],
  [
    'a ban stands',
    { type: 'purge', purge: { id: 'z', mode: 'ban', target: { kind: 'everything' } } },
    { bans: [...config.bans, { id: 'z', sequence: 5, target: { kind: 'everything' } }] },
  ],
  ['until it is lifted', { type: 'ban.lift', id: 'x' }, { bans: [ban('y', 'd')] }],
])('applyEvent: %s', ([, entry, change]) => {
  const before = structuredClone(config);
  expect(applyEvent(config, { ...entry, sequence: 5, at: 1 })).toEqual({
    ...before,
    ...change,
    sequence: 5,
  });
  expect(config).toEqual(before);
});

test('applyEvent: the end of a canary leaves the sites as they are', () => {
  const during = { ...config, canary };
  const undone = { nodes: ['edge'], change: { put: [site('b')], delete: ['c'] } };
  const end = { type: 'canary.end', canary: undone, sequence: 5, at: 1 } as const;
  expect(applyEvent(during, end)).toEqual({ ...config, sequence: 5 });
});
