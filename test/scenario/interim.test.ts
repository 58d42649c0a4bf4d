import { expect } from 'vitest';
import { RawClient } from './kit/raw.ts';
import { withRawOrigin } from './kit/raw-scenario.ts';

const HOST = 'Host: www.example.org\r\n';
const HINT =
  'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nLink: </b.js>\r\n' +
  'Content-Length: 5\r\nCanopy-Fence: 7\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n';
const FINAL = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nCache-Control: max-age=60\r\n\r\nok';

withRawOrigin(
  'hints go ahead of the answer through both tiers, and are not stored',
  (socket) => socket.write(`HTTP/1.1 102 Processing\r\n\r\n${HINT}${FINAL}`),
  async ({ edge }, origin) => {
    const client = new RawClient(edge().url).send(`GET /a HTTP/1.1\r\n${HOST}\r\n`);
    expect(await client.answer()).toMatchObject({ status: 102 });
    const hint = await client.answer();
    expect(hint.status).toBe(103);
    expect(hint.headers['link']).toBe('</b.js>');
    expect(Object.keys(hint.headers)).toEqual(['link']);
    expect(await client.answer()).toMatchObject({ status: 200, body: 'ok' });
    client.send(`GET /a HTTP/1.1\r\n${HOST}\r\n`);
    expect(await client.answer()).toMatchObject({ status: 200, body: 'ok' });
    client.socket.destroy();
    expect(origin.requests).toHaveLength(1);
  },
);

withRawOrigin(
  'hints come before the origin has made up its mind',
  (socket) => socket.write(HINT),
  async ({ edge }) => {
    const client = new RawClient(edge().url).send(`POST /a HTTP/1.1\r\n${HOST}\r\n`);
    expect(await client.answer()).toMatchObject({ status: 103 });
    client.socket.destroy();
  },
);

withRawOrigin(
  'RFC 9110 §15.2: an HTTP/1.0 client is sent none',
  (socket) => socket.write(HINT + FINAL),
  async ({ edge }) => {
    const client = new RawClient(edge().url).send(`GET /a HTTP/1.0\r\n${HOST}\r\n`);
    expect(await client.answer()).toMatchObject({ status: 200 });
    client.socket.destroy();
  },
);

withRawOrigin(
  'hints without end are not all passed on',
  (socket) => socket.write(HINT.repeat(100) + FINAL),
  async ({ edge }) => {
    const client = new RawClient(edge().url).send(`GET /a HTTP/1.1\r\n${HOST}\r\n`);
    const statuses: number[] = [];
    while (statuses.at(-1) !== 200) statuses.push((await client.answer()).status);
    expect(statuses).toHaveLength(17);
    client.socket.destroy();
  },
);

withRawOrigin(
  'protocols that nobody asked to switch are an invalid answer',
  (socket) =>
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'),
  async ({ edge }) => {
    await edge().get('/a').sees({ status: 502 });
  },
);
