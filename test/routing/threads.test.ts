import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { rename, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import packet from 'dns-packet';
import { expect, onTestFinished, test } from 'vitest';
import { embeddedCountries } from '#core/geography/embedded.ts';
import type { DnsAddress } from '#control-plane/routing/dns/server.ts';
import { GeoDatabases } from '#core/geography/databases.ts';
import { DnsThreads } from '#control-plane/routing/threads/threads.ts';
import type { MetricName } from '#core/telemetry/metrics.ts';
import { Samples } from '#core/telemetry/samples.ts';
import { temporaryDir } from '#test/control-plane/kit.ts';
import { eventually } from '#test/eventually.ts';
import { FakeClock } from '#test/scenario/kit/clock.ts';
import { configOf, edgeNode } from './dns-kit.ts';
import { CITIES, type City } from './kit.ts';
import { mmdb } from './mmdb.ts';

const CLIENTS = 64;
const NSID = 3;
const ANY = { host: '127.0.0.1', port: 0 };

function threadsOf(module: string, databases = [embeddedCountries()]) {
  const errors: unknown[] = [];
  const threads = new DnsThreads({
    module: new URL(module, import.meta.url),
    count: 2,
    data: { name: 'router', answersPerSecond: 0 },
    databases,
    log: { error: (...problem) => void errors.push(problem) },
  });
  onTestFinished(() => threads.close());
  threads.tell({ type: 'config', config: configOf() });
  const measured = async (name: MetricName): Promise<number> => {
    const samples = new Samples();
    await threads.sample(samples);
    return [...(samples.byMetric.get(name)?.values() ?? [])].reduce((sum, n) => sum + n, 0);
  };
  return { threads, errors, measured };
}

interface Answered {
  readonly addresses: readonly string[];
  /** The thread that has answered. */
  readonly nsid: string;
}

/**
 * What one client gets, from a port of its own and so from any thread.
 * @param subnet asks for clients of this /24 (RFC 7871)
 */
async function ask({ host, port }: DnsAddress, subnet?: string): Promise<Answered> {
  const forClients =
    subnet === undefined
      ? []
      : [{ code: 'CLIENT_SUBNET', family: 1, sourcePrefixLength: 24, ip: subnet }];
  const options = [
    { code: NSID, data: Buffer.alloc(0) },
    ...forClients,
  ] as unknown as packet.OptAnswer['options'];
  const message = packet.encode({
    type: 'query',
    questions: [{ type: 'A', name: 'film.cdn.example' }],
    additionals: [
      { type: 'OPT', name: '.', udpPayloadSize: 1232, options },
    ] as unknown as packet.Answer[],
  });
  const socket = createSocket('udp4');
  try {
    socket.send(message, port, host);
    const [answer] = (await once(socket, 'message', { signal: AbortSignal.timeout(5_000) })) as [
      Buffer,
    ];
    const { answers = [], additionals = [] } = packet.decode(answer);
    const opt = additionals.find((one) => one.type === 'OPT');
    return {
      addresses: answers.flatMap((one) => (one.type === 'A' ? [one.data] : [])),
      nsid: opt?.options.map(({ data }) => String(data)).join('') ?? '',
    };
  } finally {
    socket.close();
  }
}

const askAll = (address: DnsAddress, subnet?: string): Promise<Answered[]> =>
  Promise.all(Array.from({ length: CLIENTS }, () => ask(address, subnet)));

const addressOf = async (threads: DnsThreads): Promise<DnsAddress> => {
  const [address] = await threads.listen([ANY]);
  if (address === undefined) throw new Error('It listens nowhere');
  return address;
};

test('several threads share the clients, and all have heard the same', async () => {
  const { threads, errors, measured } = threadsOf('./mortal-thread.ts');
  const address = await addressOf(threads);
  const answers = await askAll(address);
  expect(new Set(answers.map(({ nsid }) => nsid)).size).toBe(2);
  expect(await measured('canopy_dns_queries_total')).toBe(CLIENTS);
  expect(threads.total).toBe(CLIENTS);

  threads.tell({ type: 'checked', down: ['rome', 'lisbon', 'new-york', 'tokyo'] });
  const after = await askAll(address);
  expect(new Set(after.flatMap(({ addresses }) => addresses))).toEqual(new Set(['198.18.0.1']));
  expect(errors).toEqual([]);
});

test('threads that fail are replaced by such as know what they knew', async () => {
  const { threads, errors, measured } = threadsOf('./mortal-thread.ts');
  const address = await addressOf(threads);
  threads.tell({ type: 'checked', down: ['rome', 'lisbon', 'new-york', 'tokyo'] });
  const before = new Set((await askAll(address)).map(({ nsid }) => nsid));
  threads.renewed(embeddedCountries());
  await eventually(async () => {
    const answers = await askAll(address);
    const names = new Set(answers.map(({ nsid }) => nsid));
    expect(names.size).toBe(2);
    expect(names.isDisjointFrom(before)).toBe(true);
    for (const { addresses } of answers) expect(addresses).toEqual(['198.18.0.1']);
  });
  expect(await measured('canopy_dns_threads')).toBe(2);
  expect(await measured('canopy_dns_threads_failed_total')).toBe(2);
  expect(await measured('canopy_dns_queries_total')).toBeGreaterThanOrEqual(2 * CLIENTS);
  expect(errors).toHaveLength(2);
});

test('every thread goes by databases read anew, and by measured round trips', async () => {
  const file = join(await temporaryDir(), 'cities.mmdb');
  const place = async (city: City): Promise<void> => {
    const [latitude, longitude] = CITIES[city];
    const location = { latitude, longitude, accuracy_radius: 5 };
    await writeFile(`${file}.new`, mmdb({ '81.2.69.0/24': { location } }));
    await rename(`${file}.new`, file);
  };
  await place('rome');
  const databases = GeoDatabases.open([file]);
  onTestFinished(() => databases.close());
  const { threads, errors } = threadsOf('../../control-plane/routing/threads/thread.ts', [
    ...databases.all,
  ]);
  const clock = new FakeClock();
  const log = { info: () => undefined, error: (problem: unknown) => void errors.push(problem) };
  databases.watch(clock, log, (database) => threads.renewed(database));
  const address = await addressOf(threads);
  const allAreSentTo = (city: City): Promise<void> =>
    eventually(async () => {
      clock.advance('10s');
      const first = edgeNode(city).addresses?.[0];
      for (const { addresses } of await askAll(address, '81.2.69.0')) {
        expect(addresses).toEqual([first]);
      }
    });
  await allAreSentTo('rome');
  await place('tokyo');
  await allAreSentTo('tokyo');

  const edges = [
    { edge: 'lisbon', roundTripMs: 1, samples: 20 },
    { edge: 'tokyo', roundTripMs: 200, samples: 20 },
  ];
  threads.tell({
    type: 'latencies',
    map: { entries: [{ level: 'network', of: '81.2.69.0/24', edges }] },
  });
  await allAreSentTo('lisbon');
  expect(errors).toEqual([]);
});

test('a port that another process has is refused, though threads share theirs', async () => {
  const other = createServer();
  other.listen(0, '127.0.0.1');
  await once(other, 'listening');
  onTestFinished(() => void other.close());
  const { threads } = threadsOf('../../control-plane/routing/threads/thread.ts');
  const address = other.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  await expect(threads.listen([{ host: '127.0.0.1', port: address.port }])).rejects.toMatchObject({
    code: 'conflict',
  });
});
