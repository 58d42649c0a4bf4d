import { describe, expect, onTestFinished, test } from 'vitest';
import { AuditLog, type AuditEntry } from '#control-plane/audit.ts';
import { openSqliteState } from '#control-plane/state/sqlite.ts';
import { silent, temporaryDir, TestControlPlane } from './kit.ts';

const audit = (cp: TestControlPlane): Promise<AuditEntry[]> => cp.list<AuditEntry>('/v1/audit');

describe('the audit log', () => {
  test('tells who changed what, with the events that it wrote, and by which request', async () => {
    const cp = await TestControlPlane.start();
    const deploy = await cp.addToken('deploy', ['configure', 'purge']);
    cp.clock.advance('5s');
    const site = { hosts: ['a.example'], origin: { kind: 'push' } };
    const put = await cp.call('PUT', '/v1/sites/shop?', site, deploy);
    await cp.call('PUT', '/v1/sites/shop', site, deploy);
    await cp.call('POST', '/v1/purges', { site: 'shop' }, deploy);
    await cp.get('/v1/sites');
    const [purge, again, first, token] = await audit(cp);
    expect(first).toEqual({
      id: put.headers.get('x-request-id'),
      at: cp.clock.now(),
      token: 'deploy',
      address: '127.0.0.1',
      method: 'PUT',
      route: '/v1/sites/:site',
      path: '/v1/sites/shop',
      status: 201,
      code: null,
      sequences: [2],
    });
    expect(again).toMatchObject({ status: 200, sequences: [] });
    expect(purge).toMatchObject({ method: 'POST', route: '/v1/purges', sequences: [3] });
    expect(token).toMatchObject({ token: 'admin', path: '/v1/tokens', status: 201 });
    expect(await audit(cp)).toHaveLength(4);
  });

  test('tells what was refused: without the scope, without a token, for its input', async () => {
    const cp = await TestControlPlane.start();
    const reader = await cp.addToken('reader', ['read']);
    await cp.call('DELETE', '/v1/sites/shop', undefined, reader);
    await cp.call('DELETE', '/v1/sites/shop', undefined, 'guess');
    await cp.call('PUT', '/v1/sites/shop', '{"hosts":');
    await cp.call('PUT', '/v1/sites/shop', { hosts: [] });
    const refusals = (await audit(cp))
      .slice(0, 4)
      .map(({ token, status, code }) => [token, status, code]);
    expect(refusals.toReversed()).toEqual([
      ['reader', 403, 'forbidden'],
      [null, 401, 'unauthenticated'],
      ['admin', 400, 'invalid-request'],
      ['admin', 422, 'invalid-input'],
    ]);
  });

  test('comes in pages, and outlives a restart', async () => {
    const cp = await TestControlPlane.start();
    for (const name of ['a', 'b', 'c']) await cp.addToken(name, ['read']);
    await cp.stop();
    await cp.start();
    const first = await cp.get<{ items: AuditEntry[]; next: string }>('/v1/audit?limit=2');
    expect(first.items).toHaveLength(2);
    const second = await cp.get<{ items: AuditEntry[]; next: null }>(
      `/v1/audit?limit=2&after=${first.next}`,
    );
    expect(second.next).toBeNull();
    const all = await audit(cp);
    expect([...first.items, ...second.items]).toEqual(all);
    expect(all.map(({ id }) => id)).toEqual(
      all
        .map(({ id }) => id)
        .toSorted()
        .toReversed(),
    );
  });

  test('tells who took a backup, which holds secrets', async () => {
    const cp = await TestControlPlane.start();
    await fetch(`${cp.url}/v1/backup`, { headers: { authorization: 'Bearer admin-token' } });
    expect(await audit(cp)).toMatchObject([{ method: 'GET', path: '/v1/backup', status: 200 }]);
  });

  test('strangers cannot drive out what others did', async () => {
    const cp = await TestControlPlane.start();
    await cp.addToken('deploy', ['read']);
    // Enough of a rate that nobody is stopped for guessing.
    for (let i = 0; i < 150; i++) {
      await cp.call('DELETE', '/v1/sites/shop', undefined, null);
      if (i % 15 === 0) cp.clock.advance('0.1s');
    }
    const entries = await cp.list<AuditEntry>('/v1/audit?limit=1000');
    expect(entries.filter(({ token }) => token === null).length).toBeLessThan(110);
    expect(entries.at(-1)).toMatchObject({ path: '/v1/tokens' });
  });

  test('is bounded', async () => {
    const store = openSqliteState(await temporaryDir());
    onTestFinished(() => store.close());
    const log = new AuditLog(store.records, silent, { kept: 20, trimEvery: 10 });
    for (let i = 10; i < 60; i++) await log.add({ id: `${i}` } as AuditEntry);
    const left = await log.list({ limit: 100 });
    expect(left.map(({ id }) => id)).toEqual(Array.from({ length: 20 }, (_, i) => `${59 - i}`));
  });
});
