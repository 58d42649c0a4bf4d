import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { Guesses, networkOf } from '#control-plane/api/guesses.ts';
import { FakeClock } from '#test/scenario/kit/clock.ts';
import { eventually, TestControlPlane } from './kit.ts';

const sites = (cp: TestControlPlane, token: string) =>
  cp.call('GET', '/v1/sites', undefined, token);

describe('who guesses secrets', () => {
  test('is not heard for a while, even with the right one; who was known before is', async () => {
    const cp = await TestControlPlane.start();
    const [known, fresh] = [
      await cp.addToken('known', ['read']),
      await cp.addToken('fresh', ['read']),
    ];
    const credential = await cp.addNode('edge');
    await cp.heartbeat(credential, 2);
    expect((await sites(cp, known)).status).toBe(200);
    for (let i = 0; i <= 20; i++) expect((await sites(cp, `guess-${i}`)).status).toBe(401);
    const refused = await sites(cp, fresh);
    expect(refused).toMatchObject({
      status: 429,
      body: { code: 'too-many-requests', retrySafe: true },
    });
    expect(refused.headers.get('retry-after')).toBe('10');
    expect((await sites(cp, known)).status).toBe(200);
    expect((await cp.heartbeat(credential, 2)).status).toBe(200);
    cp.clock.advance('10s');
    expect((await sites(cp, fresh)).status).toBe(200);
  });

  test('is slowed down to a guess in five seconds, however long it goes on', () => {
    const clock = new FakeClock();
    const guesses = new Guesses(clock);
    let tries = 0;
    for (let second = 0; second < 3_600; second++) {
      for (let i = 0; i < 100; i++) {
        try {
          guesses.admit('192.0.2.1', Uint8Array.of(i));
        } catch {
          break;
        }
        tries += 1;
        guesses.failed('192.0.2.1');
      }
      clock.advance('1s');
    }
    expect(tries).toBeLessThanOrEqual(20 + 3_600 / 5 + 1);
    expect(() => guesses.admit('192.0.2.2', Uint8Array.of(1))).not.toThrow();
  });

  test.for([
    ['192.0.2.1', '192.0.2.1'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:DB8:0:0:ffff::1', '2001:db8:0:0::/64'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ] as const)('%s counts as %s', ([address, network]) => {
    expect(networkOf(address)).toBe(network);
  });
});

describe('one token', () => {
  test('has so many requests per second', async () => {
    const cp = await TestControlPlane.start({ tokenRate: { perSecond: 1, burst: 3 } });
    const token = await cp.addToken('busy', ['read']);
    for (let i = 0; i < 3; i++) expect((await sites(cp, token)).status).toBe(200);
    const answer = await sites(cp, token);
    expect(answer).toMatchObject({ status: 429, body: { code: 'too-many-requests' } });
    expect(answer.headers.get('retry-after')).toBe('1');
    expect((await cp.call('GET', '/v1/sites')).status).toBe(200);
    cp.clock.advance('1s');
    expect((await sites(cp, token)).status).toBe(200);
  });

  test('has so many requests under way; one whose client is gone counts no more', async () => {
    const cp = await TestControlPlane.start();
    await cp.addSite('one', '*');
    await cp.heartbeat(await cp.addNode('edge'), 3);
    const { id } = await cp.purge({ site: 'one' });
    const token = await cp.addToken('patient', ['read']);
    const leaving = new AbortController();
    const wait = () =>
      fetch(`${cp.url}/v1/purges/${id}?waitMs=60000`, {
        headers: { authorization: `Bearer ${token}` },
        signal: leaving.signal,
      });
    const waiting = Array.from({ length: 256 }, () => wait().catch(() => 'gone'));
    await eventually(async () => expect((await sites(cp, token)).status).toBe(429));
    leaving.abort();
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(['gone']));
    await eventually(async () => expect((await sites(cp, token)).status).toBe(200));
  });
});

test('content that does not come in time is refused', async () => {
  const cp = await TestControlPlane.start();
  const socket = connect(Number(new URL(cp.url).port), '127.0.0.1');
  socket.write(
    'POST /v1/purges HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin-token\r\n' +
      'Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"urls":',
  );
  const answer = text(socket);
  const arrived = async (): Promise<void> => {
    cp.clock.advance('30s');
    const state = await Promise.race([answer, Promise.resolve('pending')]);
    expect(state).not.toBe('pending');
  };
  await eventually(arrived);
  expect(await answer).toMatch(/^HTTP\/1.1 408 [\s\S]*"code":"request-timeout"/);
});
