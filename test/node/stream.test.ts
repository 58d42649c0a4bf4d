import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Config } from '#core/contract/event.ts';
import type { Acknowledgement } from '#core/contract/report.ts';
import { CONTRACT, CONTRACT_FIELD } from '#core/contract/version.ts';
import { siteSchema } from '#core/contract/site.ts';
import { eventually, temporaryDir, TestControlPlane } from '#test/control-plane/kit.ts';
import { FakeClock } from '#test/scenario/kit/clock.ts';
import { TestLink, whileTimePasses } from './kit.ts';

// What a sound control plane would not send, and what networks do to a stream.

type Script = (response: ServerResponse, lastEventId: string | undefined) => void;

/** A control plane that plays one script per stream opened, the last one ever after; it grants no lease. */
async function scripted(...scripts: Script[]) {
  const resumes: (string | undefined)[] = [];
  const acknowledged: number[] = [];
  const refused: unknown[] = [];
  /** How far the journal went, as the next stream is told when it opens. */
  const journal = { sequence: 1 };
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    if (request.url === '/v1/node/stream') {
      const lastEventId = request.headers['last-event-id']?.toString();
      const script = scripts[Math.min(resumes.push(lastEventId), scripts.length) - 1];
      response.writeHead(200, {
        'content-type': 'text/event-stream',
        'canopy-journal-sequence': String(journal.sequence),
        [CONTRACT_FIELD]: String(CONTRACT),
      });
      response.flushHeaders();
      script?.(response, lastEventId);
      return;
    }
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      if (request.url !== '/v1/node/acknowledgements') return void response.writeHead(503).end();
      const { fence, refusals } = JSON.parse(body) as Acknowledgement;
      acknowledged.push(fence);
      refused.push(...refusals.map(({ sequence }) => sequence));
      response.writeHead(204).end();
    });
  };
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const clock = new FakeClock();
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const dir = await temporaryDir();
  const node = new TestLink({ urls: [url], credential: 'c', dir, clock });
  return { acknowledged, clock, dir, journal, node, refused, resumes, url };
}

const config: Config = {
  journal: 'j',
  sequence: 1,
  network: { tierKey: 'a-key-of-16-chars' },
  sites: [],
  nodes: [],
  bans: [],
  certificates: [],
};
const frame = (event: string, id: number, data: object): string =>
  `id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
const snapshot = frame('snapshot', 1, config);
const purge = {
  type: 'purge',
  purge: { id: 'p', mode: 'hard', target: { kind: 'site', site: 'one' } },
};
const event = (sequence: number, entry: object = purge): string =>
  frame('event', sequence, { ...entry, sequence, at: 1 });

test('a stream cut in the middle of an event is resumed before it', async () => {
  const half = event(3).slice(0, 60);
  const { acknowledged, clock, node, resumes } = await scripted(
    (response) => {
      response.write(snapshot + event(2) + half, () => response.destroy());
    },
    (response) => void response.write(event(3)),
  );
  await node.link.start();
  await whileTimePasses(clock, () => expect(node.link.fence).toBe(3));
  expect(node.log).toEqual(['1 snapshot', '2 purge', '3 purge']);
  expect(resumes).toEqual([undefined, '2']);
  await eventually(() => expect(acknowledged.at(-1)).toBe(3));
});

test('a multi-byte character split between two pieces arrives whole', async () => {
  const url = 'http://grüße.example/';
  const order = { ...purge.purge, target: { kind: 'urls', site: 'one', urls: [url] } };
  const bytes = Buffer.from(event(2, { type: 'purge', purge: order }));
  const middle = bytes.indexOf('ü') + 1;
  const { node } = await scripted((response) => {
    response.write(Buffer.concat([Buffer.from(snapshot), bytes.subarray(0, middle)]));
    void node.link.waitForFence(1, 1_000).then(() => response.write(bytes.subarray(middle)));
  });
  await node.link.start();
  await eventually(() => expect(node.applied[1]?.event).toMatchObject({ purge: order }));
});

test('a start with a last good config waits for a stream that is catching up', async () => {
  let stream: ServerResponse | undefined;
  const { clock, dir, journal, node } = await scripted((response) => {
    (stream = response).write(event(2));
  });
  journal.sequence = 3;
  await writeFile(join(dir, 'config.json'), JSON.stringify(config));
  let started = false;
  const starting = node.link.start().then(() => (started = true));
  await eventually(() => expect(node.link.fence).toBe(2));
  clock.advance('5s');
  await eventually(() => expect(node.link.fence).toBe(2));
  expect(started).toBe(false);
  stream?.write(event(3));
  await starting;
  expect(node.log).toEqual(['1 snapshot', '2 purge', '3 purge']);
});

test('an event seen before is ignored, and a gap makes the link ask again', async () => {
  const { clock, node, resumes } = await scripted(
    (response) => void response.write(snapshot + event(2) + event(2) + event(1) + event(4)),
    (response) => void response.write(event(3) + event(4)),
  );
  await node.link.start();
  await whileTimePasses(clock, () => expect(node.link.fence).toBe(4));
  expect(node.log).toEqual(['1 snapshot', '2 purge', '3 purge', '4 purge']);
  expect(resumes).toEqual([undefined, '2']);
});

test.for([
  ['of an unknown type', event(2, { type: 'moon.landing' })],
  ['of a site without a name', event(2, { type: 'site.put', site: { hosts: ['a.example'] } })],
  ['that is no JSON', 'id: 2\nevent: event\ndata: {"sequ\n\n'],
])('an event %s leaves the last good config, unacknowledged', async ([, bad]) => {
  const { acknowledged, clock, node, resumes } = await scripted((response, lastEventId) => {
    response.write((lastEventId === undefined ? snapshot : '') + bad + event(3));
  });
  await node.link.start();
  await whileTimePasses(clock, () => expect(resumes.length).toBeGreaterThan(2));
  expect(node.link.fence).toBe(1);
  expect(node.log).toEqual(['1 snapshot']);
  expect(acknowledged).toEqual([1]);
});

const site = (name: string, more: object = {}) => ({
  ...siteSchema.parse({ name, hosts: [`${name}.example`], origin: { kind: 'push' } }),
  ...more,
});
const change = (...put: object[]) => ({ type: 'sites.change', change: { put, delete: [] } });
const names = (node: TestLink): string[] =>
  (node.applied.at(-1)?.config.sites ?? []).map(({ name }) => name);

describe('sites that a node cannot apply', () => {
  test('are refused with the whole change, and later events are heeded', async () => {
    const newer = site('two', { moonPhase: 'full' });
    const { acknowledged, node, refused } = await scripted((response) => {
      response.write(snapshot + event(2, change(site('one'), newer)) + event(3));
      response.write(event(4, change(site('three'))));
    });
    await node.link.start();
    await eventually(() => expect(node.link.fence).toBe(4));
    expect(names(node)).toEqual(['three']);
    // The purge may be of hosts that are another site's here.
    expect(node.applied.map(({ reset }) => reset)).toEqual([true, false, true, false]);
    expect(node.link.refusals).toEqual([
      {
        sequence: 2,
        reason: 'Invalid site "two": moonPhase: expected no such field, received "full"',
      },
    ]);
    await eventually(() => expect(acknowledged.at(-1)).toBe(4));
    expect(new Set(refused)).toEqual(new Set([2]));
  });

  test('are taken with what was refused beside them, once they are put right', async () => {
    const newer = site('two', { moonPhase: 'full' });
    const { node } = await scripted((response) => {
      response.write(snapshot + event(2, change(site('one'), newer)));
      response.write(event(3, change(site('two'))));
    });
    await node.link.start();
    await eventually(() => expect(node.link.fence).toBe(3));
    expect(names(node)).toEqual(['one', 'two']);
    expect(node.link.refusals).toEqual([]);
  });

  test('are left out of a snapshot, and what the node had stays', async () => {
    const newer = { ...config, sequence: 5, sites: [site('one', { moonPhase: 1 }), site('two')] };
    const { clock, node } = await scripted(
      (response) => {
        const first = { ...config, sites: [site('one')] };
        response.write(frame('snapshot', 1, first), () => response.destroy());
      },
      (response) => void response.write(frame('snapshot', 5, newer)),
    );
    await node.link.start();
    await whileTimePasses(clock, () => expect(node.link.fence).toBe(5));
    expect(node.applied.at(-1)?.config.sites).toEqual([site('one'), site('two')]);
    expect(node.link.refusals).toMatchObject([{ sequence: 5 }]);
  });

  test('are tried again when the node starts, for it may know more now', async () => {
    const { clock, dir, node, url } = await scripted(
      (response) => void response.write(snapshot + event(2, change(site('one')))),
      () => undefined,
    );
    node.checkSite = () => {
      throw new Error('not in this version');
    };
    await node.link.start();
    await eventually(() => expect(node.link.refusals).toMatchObject([{ sequence: 2 }]));
    await node.link.stop();
    const newer = new TestLink({ urls: [url], credential: 'c', dir, clock });
    await whileTimePasses(clock, () => newer.link.start());
    expect(newer.link).toMatchObject({ fence: 2, refusals: [] });
    expect(names(newer)).toEqual(['one']);
  });
});

test('a stream that is silent for 6 s is given up; one that says anything is not', async () => {
  let first: ServerResponse | undefined;
  const { clock, node, resumes } = await scripted(
    (response) => void (first = response).write(snapshot),
    (response) => void response.write(event(5)),
  );
  await node.link.start();
  for (const sequence of [2, 3, 4]) {
    clock.advance('5s');
    first?.write(`:\n\n${event(sequence)}`);
    await eventually(() => expect(node.link.fence).toBe(sequence));
  }
  expect(resumes).toHaveLength(1);
  clock.advance('6s');
  await whileTimePasses(clock, () => expect(node.link.fence).toBe(5));
  expect(resumes).toEqual([undefined, '4']);
});

test('the control plane says something every 2 s, and drops a reader that takes nothing', async () => {
  const cp = await TestControlPlane.start();
  const credential = await cp.addNode('node');
  const socket = connect(Number(new URL(cp.url).port), '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => undefined);
  let heard = '';
  socket.on('data', (chunk: Buffer) => (heard += chunk.toString()));
  socket.write(
    `GET /v1/node/stream HTTP/1.1\r\nHost: cp\r\nAuthorization: Bearer ${credential}\r\n\r\n`,
  );
  await eventually(() => expect(heard).toContain('event: snapshot'));
  const before = heard.length;
  cp.clock.advance('2s');
  await eventually(() => expect(heard.slice(before)).toContain(':\n\n'));

  socket.pause();
  const hosts = Array.from({ length: 9_000 }, (_, i) => `${'a'.repeat(60)}${i}.example`);
  // Together more than the buffers of two sockets.
  for (let i = 0; i < 16; i++) {
    await cp.addSite('one', `${i}.example`, ...hosts);
  }
  const others = await cp.addNode('other');
  expect((await cp.heartbeat(others, 18)).status).toBe(200);
  cp.clock.advance('12s');
  let closed = false;
  socket.once('close', () => (closed = true));
  socket.resume();
  await eventually(() => expect(closed).toBe(true));
  expect(heard).not.toContain('"15.example"');
  expect(await cp.sequence()).toBe(19);
});
