import { expect, onTestFinished, test } from 'vitest';
import {
  PushRecords,
  pushDraft,
  progressDraft,
  urlDrafts,
} from '#control-plane/push/push-records.ts';
import { newProgress, type PushRecord } from '#control-plane/push/record.ts';
import { openState } from '#control-plane/state/open.ts';
import { silent, temporaryDir } from './kit.ts';

async function open() {
  const store = await openState({ dir: await temporaryDir() }, silent);
  onTestFinished(() => store.close());
  return { store, pushes: new PushRecords(store.records) };
}

const push = (id: string, status: PushRecord['status']): PushRecord => ({
  id,
  sequence: 1,
  status,
  sites: ['one'],
  sources: { urls: 1, sitemaps: [], manifests: [] },
  urls: 1,
  skipped: 0,
  variants: [{ fields: {} }],
  targets: [],
  priority: 'normal',
  concurrency: 1,
  bytesPerSecond: null,
  by: 'admin',
  createdAt: 0,
  expiresAt: 1,
});

test('URLs are kept in order, whatever part of them is read', async () => {
  const { store, pushes } = await open();
  const urls = Array.from({ length: 2_500 }, (_, i) => `http://one.example/${i}`);
  for (const draft of urlDrafts('p', urls)) await store.records.put(draft);
  const read: string[] = [];
  for (let part = await pushes.urls('p', 0, 64); part.length > 0;) {
    read.push(...part);
    part = await pushes.urls('p', read.length, 64);
  }
  expect(read).toEqual(urls);
});

test('what is of one push is not of another whose id begins alike', async () => {
  const { store, pushes } = await open();
  for (const id of ['p', 'p1']) {
    await store.records.put(progressDraft(id, 'oslo', newProgress(1)));
    for (const draft of urlDrafts(id, ['http://one.example/'])) await store.records.put(draft);
  }
  await pushes.tidy('p');
  expect([...(await pushes.progress('p')).keys()]).toEqual([]);
  expect([...(await pushes.progress('p1')).keys()]).toEqual(['oslo']);
  expect(await pushes.urls('p', 0, 1)).toEqual([]);
  expect(await pushes.urls('p1', 0, 1)).toHaveLength(1);
});

test('the last are kept, and those that run', async () => {
  const { store, pushes } = await open();
  const ids = Array.from({ length: 450 }, (_, i) => String(i).padStart(4, '0'));
  for (const id of ids) {
    await store.records.put(pushDraft(push(id, id === '0007' ? 'running' : 'complete')));
  }
  await pushes.trim(400);
  const kept = (await store.records.list('push', { limit: 1_000 })).map(({ id }) => id);
  expect(kept).toEqual(['0007', ...ids.slice(50)]);
  expect((await pushes.running()).map(({ id }) => id)).toEqual(['0007']);
});
