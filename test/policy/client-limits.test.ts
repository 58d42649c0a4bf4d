import { expect, test } from 'vitest';
import { Clients } from '#core/serving/clients/clients.ts';
import { allowedWaitMs, limitedContent } from '#core/serving/clients/content-pace.ts';
import { DEFAULT_LIMITS, ofThread } from '#core/serving/clients/limits.ts';
import { networkOf } from '#core/serving/clients/network-of.ts';
import { Samples } from '#core/telemetry/samples.ts';
import { FakeClock } from '#test/scenario/kit/clock.ts';

test.each([
  ['192.0.2.7', '192.0.2.7'],
  ['::ffff:192.0.2.7', '192.0.2.7'],
  ['2001:db8:0:7::1', '2001:db8:0:7'],
  ['2001:DB8:0:7:aaaa:bbbb:cccc:dddd', '2001:db8:0:7'],
  ['2001:0db8:0000:0007::1', '2001:db8:0:7'],
  ['2001:db8::1', '2001:db8:0:0'],
  ['fe80::1%eth0', 'fe80:0:0:0'],
  ['::1', '0:0:0:0'],
])('the client at %s is %s', (address, network) => expect(networkOf(address)).toBe(network));

const PACE = { minContentBytesPerSecond: 100, contentGraceMs: 5_000 };

test.each([
  [0, PACE, 5_000],
  [100, PACE, 6_000],
  [1_000_000, PACE, 10_005_000],
  [0, { ...PACE, minContentBytesPerSecond: 0 }, Infinity],
])('%i bytes of content may be waited for so long: %o %i', (bytes, pace, ms) =>
  expect(allowedWaitMs(bytes, pace)).toBe(ms),
);

/** Content whose pieces come when a test says so. */
function arriving() {
  const pieces: PromiseWithResolvers<string | undefined>[] = [];
  const at = (index: number) => (pieces[index] ??= Promise.withResolvers());
  async function* read(): AsyncGenerator<Buffer> {
    for (let i = 0; ; i++) {
      const piece = await at(i).promise;
      if (piece === undefined) return;
      yield Buffer.from(piece);
    }
  }
  return { content: read(), comes: (index: number, text?: string) => at(index).resolve(text) };
}

test('content that comes too slowly is given up, however long it takes to be taken', async () => {
  const clock = new FakeClock();
  let gaveUp = 0;
  const { content, comes } = arriving();
  const pace = { ...PACE, clock, onTooSlow: () => void gaveUp++ };
  const reader = limitedContent(content, pace, Infinity);
  const first = reader.next();
  clock.advance('4s');
  comes(0, 'x'.repeat(100));
  expect((await first).value).toHaveLength(100);
  // The parent takes its time, which is not the client's.
  clock.advance('1h');
  const second = reader.next();
  clock.advance('1999ms');
  comes(1, 'y');
  expect((await second).value).toHaveLength(1);
  const third = reader.next();
  clock.advance('12ms');
  await expect(third).rejects.toMatchObject({ code: 'request-timeout' });
  expect(gaveUp).toBe(1);
});

test('content beyond its limit is refused as it comes', async () => {
  const { content, comes } = arriving();
  const pace = { ...PACE, clock: new FakeClock(), onTooSlow: () => undefined };
  const reader = limitedContent(content, pace, 10);
  comes(0, '1234567890');
  expect((await reader.next()).value).toHaveLength(10);
  comes(1, '1');
  await expect(reader.next()).rejects.toMatchObject({ code: 'content-too-large' });
});

class Connection {
  readonly remoteAddress: string;
  #close = (): void => undefined;
  constructor(remoteAddress: string) {
    this.remoteAddress = remoteAddress;
  }
  once(_event: 'close', listener: () => void): void {
    this.#close = listener;
  }
  close(): void {
    this.#close();
  }
}

test('connections are counted per client and all together, until they close', () => {
  const limits = { ...DEFAULT_LIMITS, maxConnections: 3, maxConnectionsPerClient: 2 };
  const clients = new Clients(limits, (address) => address === '10.0.0.1');
  const first = new Connection('192.0.2.1');
  expect(clients.admit(first)).toBeUndefined();
  expect(clients.admit(new Connection('192.0.2.1'))).toBeUndefined();
  expect(clients.admit(new Connection('192.0.2.1'))?.code).toBe('too-many-requests');
  expect(clients.admit(new Connection('192.0.2.2'))).toBeUndefined();
  expect(clients.admit(new Connection('192.0.2.3'))?.code).toBe('unavailable');
  first.close();
  expect(clients.admit(new Connection('10.0.0.1'))).toBeUndefined();
  const samples = new Samples();
  clients.sample(samples);
  expect(samples.byMetric.get('canopy_clients_refused_total')).toEqual(
    new Map([
      ['client-connections', 1],
      ['connections', 1],
    ]),
  );
});

test('a proxy that many come by is one of nobody', () => {
  const limits = { ...DEFAULT_LIMITS, maxConnectionsPerClient: 1, maxRequestsPerClient: 1 };
  const clients = new Clients(limits, (address) => address === '10.0.0.1');
  for (let i = 0; i < 3; i++) expect(clients.admit(new Connection('10.0.0.1'))).toBeUndefined();
  expect(clients.of({ remoteAddress: '10.0.0.1' })).toBeUndefined();
  expect(clients.of({ remoteAddress: '10.0.0.2' })).toMatchObject({ requests: 0 });
});

test('a thread has its part of what a node lets clients have, rounded up', () => {
  const limits = { ...DEFAULT_LIMITS, maxConnections: 10, maxConnectionsPerClient: 1 };
  expect(ofThread(limits, 4)).toMatchObject({ maxConnections: 3, maxConnectionsPerClient: 1 });
  expect(ofThread(limits, 4).maxRequestsPerClient).toBe(Infinity);
});
