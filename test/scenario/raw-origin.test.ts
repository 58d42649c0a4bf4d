import type { TierNode } from '#core/serving/tier-node.ts';
import { expect } from 'vitest';
import { RawClient } from './kit/raw.ts';
import { withRawOrigin } from './kit/raw-scenario.ts';
import type { World } from './kit/scenario.ts';

const GOOD = 'HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 4\r\n\r\ngood';
const FRESH = 'HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n';

/** Whatever the origin did on one connection, others are served, and what it sent is not stored. */
async function leavesOthersUnharmed({ edge, midTier, clock }: World): Promise<void> {
  // Past the backoff from a parent that failed.
  clock.advance('30s');
  await edge().get('/good').sees({ status: 200, body: 'good' });
  for (const node of [edge().node, midTier().node]) expect(node.load().objects).toBe(1);
  await edge().get('/good').sees({ status: 200, edge: 'fresh', body: 'good' });
}

const isGood = (request: string): boolean => request.startsWith('GET /good ');

/** What the origin sends, and the error that clients see of it. */
const REFUSED: readonly (readonly [name: string, answer: string, code: string])[] = [
  ['garbage', 'this is not HTTP\r\n\r\n', 'upstream-invalid'],
  ['a status that is no number', 'HTTP/1.1 abc OK\r\n\r\n', 'upstream-invalid'],
  [
    'a version that is not spoken',
    `HTTP/3.7 200 OK\r\nContent-Length: 3\r\n\r\nbad`,
    'upstream-invalid',
  ],
  [
    'two lengths that differ',
    `${FRESH}Content-Length: 3\r\nContent-Length: 4\r\n\r\nbad!`,
    'upstream-invalid',
  ],
  [
    'a length repeated',
    `${FRESH}Content-Length: 3\r\nContent-Length: 3\r\n\r\nbad`,
    'upstream-invalid',
  ],
  ['a list of lengths', `${FRESH}Content-Length: 3, 3\r\n\r\nbad`, 'upstream-invalid'],
  ['a negative length', `${FRESH}Content-Length: -3\r\n\r\nbad`, 'upstream-invalid'],
  [
    'length and chunks',
    `${FRESH}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nbad\r\n0\r\n\r\n`,
    'upstream-invalid',
  ],
  [
    'chunks and length',
    `${FRESH}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n3\r\nbad\r\n0\r\n\r\n`,
    'upstream-invalid',
  ],
  [
    'a coding that is not understood',
    `${FRESH}Transfer-Encoding: gzip, chunked\r\n\r\n3\r\nbad\r\n0\r\n\r\n`,
    'upstream-invalid',
  ],
  [
    'a last coding that is not chunked',
    `${FRESH}Transfer-Encoding: chunked, gzip\r\n\r\nbad`,
    'upstream-invalid',
  ],
  ['space before a colon', `${FRESH}X-A : b\r\nContent-Length: 3\r\n\r\nbad`, 'upstream-invalid'],
  ['NUL in a value', `${FRESH}X-A: b\0\r\nContent-Length: 3\r\n\r\nbad`, 'upstream-invalid'],
  ['a bare CR in a value', `${FRESH}X-A: b\rc\r\nContent-Length: 3\r\n\r\nbad`, 'upstream-invalid'],
  [
    'a header section too large',
    `${FRESH}${`X-A: ${'a'.repeat(1000)}\r\n`.repeat(100)}`,
    'upstream-invalid',
  ],
  ['the end of the connection at once', '', 'upstream-unreachable'],
  ['the end of the connection in the header section', `${FRESH}X-A: b`, 'upstream-unreachable'],
];

for (const [name, answer, code] of REFUSED) {
  withRawOrigin(
    `${name}: 502, and nothing is stored`,
    (socket, request) => {
      if (isGood(request)) socket.write(GOOD);
      else if (name.startsWith('the end')) socket.end(answer);
      else socket.write(answer, 'latin1');
    },
    async (world) => {
      await world.edge().get('/bad').sees({ status: 502, edge: code });
      await leavesOthersUnharmed(world);
    },
  );
}

withRawOrigin(
  'a header section that never ends: 504, and nothing is stored',
  (socket, request) => socket.write(isGood(request) ? GOOD : `${FRESH}X-A: b\r\n`),
  async (world) => {
    const { edge, clock } = world;
    const waiting = edge().get('/bad');
    const ended = waiting.then(() => true);
    while (!(await Promise.race([ended, turn()]))) clock.advance('10ms');
    await waiting.sees({ status: 504, edge: 'upstream-timeout' });
    await leavesOthersUnharmed(world);
  },
  { site: { upstream: { firstByteTimeoutMs: 100 } } },
);

const turn = (): Promise<false> => new Promise((resolve) => setImmediate(() => resolve(false)));

/** Content that breaks after a good header section, so that the answer has begun. */
const BROKEN: readonly (readonly [name: string, answer: string])[] = [
  ['content shorter than its length', `${FRESH}Content-Length: 9\r\n\r\nbad`],
  ['chunks without an end', `${FRESH}Transfer-Encoding: chunked\r\n\r\n3\r\nbad\r\n`],
  [
    'a chunk size that is no number',
    `${FRESH}Transfer-Encoding: chunked\r\n\r\n3\r\nbad\r\nzz\r\nbad\r\n0\r\n\r\n`,
  ],
  [
    'a chunk longer than its size',
    `${FRESH}Transfer-Encoding: chunked\r\n\r\n3\r\nbad and more\r\n0\r\n\r\n`,
  ],
  ['a chunk cut short', `${FRESH}Transfer-Encoding: chunked\r\n\r\n9\r\nbad`],
];

for (const [name, answer] of BROKEN) {
  withRawOrigin(
    `${name}: the answer breaks off, and nothing is stored`,
    (socket, request) => {
      if (isGood(request)) socket.write(GOOD);
      else socket.end(answer);
    },
    async (world) => {
      await world.edge().get('/bad').breaksOff();
      await leavesOthersUnharmed(world);
    },
  );
}

/** Answers that have no content, sent with some that looks like another answer. */
const POISON = 'HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 6\r\n\r\npoison';
const TRAILED: readonly (readonly [
  name: string,
  method: string,
  answer: string,
  status: number,
])[] = [
  ['204', 'GET', `HTTP/1.1 204 No Content\r\n\r\n${POISON}`, 204],
  [
    '204 with a length',
    'GET',
    `HTTP/1.1 204 No Content\r\nContent-Length: ${POISON.length}\r\n\r\n${POISON}`,
    204,
  ],
  [
    '204 with chunks',
    'GET',
    `HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n${POISON}`,
    204,
  ],
  ['304', 'GET', `HTTP/1.1 304 Not Modified\r\n\r\n${POISON}`, 304],
  ['HEAD', 'HEAD', `${FRESH}Content-Length: ${POISON.length}\r\n\r\n${POISON}`, 200],
  [
    'HEAD passed on',
    'HEAD',
    `HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: ${POISON.length}\r\n\r\n${POISON}`,
    200,
  ],
  [
    '200',
    'GET',
    `HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 2\r\n\r\nok${POISON}`,
    200,
  ],
  [
    'chunks',
    'GET',
    `HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n${POISON}`,
    200,
  ],
];

function forget({ sites, engine }: TierNode, target: string): void {
  const site = sites.byName('site');
  if (site !== undefined) engine.invalidate(site, 'www.example.org', target);
}

for (const [name, method, answer, status] of TRAILED) {
  withRawOrigin(
    `content after ${name} is not the next answer`,
    (socket, request) => socket.write(isGood(request) ? GOOD : answer),
    async ({ edge, midTier }) => {
      for (let i = 0; i < 3; i++) {
        const client = new RawClient(edge().url);
        client.send(`${method} /bad HTTP/1.1\r\nHost: www.example.org\r\n\r\n`);
        const seen = await client.answer({ toHead: method === 'HEAD' });
        expect(seen.status).toBe(status);
        expect(seen.body).not.toContain('poison');
        if (status === 204) expect(seen.headers['content-length']).toBeUndefined();
        client.send('GET /good HTTP/1.1\r\nHost: www.example.org\r\n\r\n');
        expect(await client.answer()).toMatchObject({ status: 200, body: 'good' });
        client.socket.destroy();
        for (const { node } of [midTier(), edge()]) forget(node, '/good');
      }
    },
  );
}

withRawOrigin(
  'field values beyond ASCII go through as the octets that they are, missed or hit',
  (socket) => socket.write(`${FRESH}X-Name: \xe9\r\nContent-Length: 4\r\n\r\ngood`, 'latin1'),
  async ({ edge }) => {
    for (const edgeSays of ['uri-miss', 'fresh']) {
      await edge()
        .get('/good')
        .sees({ edge: edgeSays, headers: { 'x-name': '\xe9' } });
    }
  },
);
