import { pino } from 'pino';
import { beforeAll, describe, expect, test } from 'vitest';
import { AcmeOrders } from '#control-plane/certificates/acme/orders.ts';
import { renewalAt, retryAfterMs } from '#control-plane/certificates/acme/schedule.ts';
import { Certificates } from '#control-plane/certificates/certificates.ts';
import { Journal } from '#control-plane/journal/journal.ts';
import { openSqliteState } from '#control-plane/state/sqlite.ts';
import { FakeClock } from '#test/scenario/kit/clock.ts';
import { TestAuthority } from '#test/tls/authority.ts';
import { temporaryDir, TestControlPlane } from './kit.ts';

// What the network orders and when; that a real authority issues it is in test/e2e/acme.test.ts.

const DAY_MS = 86_400_000;
const AUTHORITY = {
  directoryUrl: 'https://acme.example/dir',
  termsOfServiceAgreed: true as const,
  contact: [],
};
const silent = pino({ level: 'silent' });

let root: TestAuthority;
beforeAll(async () => void (root = await TestAuthority.create()));

test.for([
  [0, 2 / 3 - 1 / 20],
  [0.5, 2 / 3],
  [1, 2 / 3 + 1 / 20],
])('a certificate is renewed after two thirds of its life, with jitter (%f)', ([random, part]) => {
  const at = renewalAt({ notBefore: 0, notAfter: 90 * DAY_MS }, random ?? 0);
  expect(at / (90 * DAY_MS)).toBeCloseTo(part ?? 0, 6);
});

test('what fails is tried again later and later, at least four times a day', () => {
  expect([1, 2, 3, 20].map((failures) => retryAfterMs(failures, 0.5) / 60_000)).toEqual([
    1, 2, 4, 360,
  ]);
});

async function world() {
  const clock = new FakeClock();
  clock.advance(`${Date.now() - clock.now()}ms`);
  const store = openSqliteState(await temporaryDir());
  const journal = await Journal.open(store, clock);
  const certificates = new Certificates({ store, journal, clock });
  const issued: string[] = [];
  const failing = new Set<string>();
  const controlPlane = (name: string): AcmeOrders =>
    new AcmeOrders({
      records: store.records,
      certificates,
      clock,
      log: silent,
      random: () => 0.5,
      newAccountKey: async () => `account key of ${name}`,
      issue: async (_, order) => {
        issued.push(`${name} ${order.name}`);
        if (failing.has(order.name)) throw new Error('The authority says no');
        const names = order.names;
        const life = { notBefore: clock.now() - 1000, notAfter: clock.now() + 90 * DAY_MS };
        const { cert, key } = await root.issue({ names, ...life });
        return { chain: cert, key };
      },
    });
  return { clock, journal, certificates, issued, failing, controlPlane };
}

describe('orders', () => {
  const order = { names: ['www.film.example'], site: null, challenge: 'http-01' as const };

  test('want an authority first', async () => {
    const { controlPlane } = await world();
    await expect(controlPlane('a').put('film', order)).rejects.toThrow(/no authority/);
  });

  test('are carried out once by two control planes, and again when two thirds are over', async () => {
    const { clock, journal, certificates, issued, controlPlane } = await world();
    const [one, two] = [controlPlane('one'), controlPlane('two')];
    await one.setAuthority(AUTHORITY);
    await one.put('film', order);
    two.look();
    await Promise.all([one.settled(), two.settled()]);
    expect(issued).toHaveLength(1);
    expect(await certificates.get('film')).toMatchObject({ source: 'acme', names: order.names });
    const first = journal.config.certificates[0]?.fingerprint;
    clock.advance('59d');
    await Promise.all([one.settled(), two.settled()]);
    expect(issued).toHaveLength(1);
    clock.advance('2d');
    one.look();
    two.look();
    await Promise.all([one.settled(), two.settled()]);
    expect(issued).toHaveLength(2);
    expect(journal.config.certificates[0]?.fingerprint).not.toBe(first);
    one.close();
    two.close();
  });

  test('that fail are told with their reason, leave what is there, and are tried again', async () => {
    const { clock, certificates, failing, controlPlane } = await world();
    const orders = controlPlane('one');
    await orders.setAuthority(AUTHORITY);
    await orders.put('film', order);
    await orders.settled();
    failing.add('film');
    clock.advance('61d');
    orders.look();
    await orders.settled();
    const [failed] = await orders.list();
    expect(failed).toMatchObject({ failures: 1, error: 'The authority says no' });
    expect((await certificates.get('film')).source).toBe('acme');
    failing.clear();
    clock.advance('2m');
    orders.look();
    await orders.settled();
    expect(await orders.list()).toMatchObject([{ failures: 0, error: null }]);
    expect(await orders.delete('film')).toBe(true);
    expect(await orders.list()).toEqual([]);
    orders.close();
  });
});

test('the API shows no account key, and wants dns-01 for wildcards', async () => {
  const cp = await TestControlPlane.start();
  expect((await cp.call('GET', '/v1/acme')).status).toBe(404);
  const body = { ...AUTHORITY, directoryUrl: 'https://127.0.0.1:1/dir', contact: ['a@b.example'] };
  expect((await cp.call('PUT', '/v1/acme', body)).status).toBe(200);
  expect(await cp.get('/v1/acme')).toEqual(body);
  const wild = { names: ['*.film.example'] };
  const refused = await cp.call('PUT', '/v1/acme/orders/film', wild);
  expect(refused).toMatchObject({ status: 422 });
  expect(refused.body['detail']).toContain('dns-01');
  const put = await cp.call('PUT', '/v1/acme/orders/film', { ...wild, challenge: 'dns-01' });
  expect(put.status).toBe(200);
  expect(put.body).toMatchObject({ failures: 0, error: null });
  expect((await cp.call('DELETE', '/v1/acme/orders/film')).status).toBe(204);
  expect((await cp.call('DELETE', '/v1/acme/orders/film')).status).toBe(404);
});
