import { expect } from 'vitest';
import { RawClient } from './kit/raw.ts';
import { withRawOrigin } from './kit/raw-scenario.ts';

const UPLOAD =
  'POST /a HTTP/1.1\r\nHost: www.example.org\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n';

withRawOrigin(
  'RFC 9110 §10.1.1: content is asked for once the origin wants it',
  (socket, request) => {
    expect(request.toLowerCase()).toContain('expect: 100-continue');
    socket.write('HTTP/1.1 100 Continue\r\n\r\n');
    socket.once('data', (content) =>
      socket.end(`HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n${content.toString()}`),
    );
  },
  async ({ edge }) => {
    const client = new RawClient(edge().url).send(UPLOAD);
    expect(await client.answer()).toMatchObject({ status: 100 });
    client.send('hello');
    expect(await client.answer()).toMatchObject({ status: 200, body: 'hello' });
    client.socket.destroy();
  },
);

withRawOrigin(
  'an origin that refuses spares the client its content, and the connection ends',
  (socket) => socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno'),
  async ({ edge }, origin) => {
    const client = new RawClient(edge().url).send(UPLOAD);
    const answer = await client.answer();
    expect(answer).toMatchObject({ status: 401, body: 'no', headers: { connection: 'close' } });
    expect(await client.closed()).toBe('');
    expect(origin.requests).toHaveLength(1);
  },
);

withRawOrigin(
  'an origin that knows nothing of expectations is sent the content after a second',
  (socket, request) => {
    if (!request.startsWith('POST')) return;
    socket.once('data', () => socket.end('HTTP/1.1 204 No Content\r\n\r\n'));
  },
  async ({ edge, clock }, origin) => {
    const client = new RawClient(edge().url).send(UPLOAD);
    while (origin.requests.length === 0) await new Promise((resolve) => setImmediate(resolve));
    clock.advance('1s');
    expect(await client.answer()).toMatchObject({ status: 100 });
    client.send('hello');
    expect(await client.answer()).toMatchObject({ status: 204 });
    client.socket.destroy();
  },
);

withRawOrigin(
  'no parent: the client is spared its content',
  () => undefined,
  async ({ edge }, origin) => {
    await origin.down();
    const client = new RawClient(edge().url).send(UPLOAD);
    expect(await client.answer()).toMatchObject({ status: 502, headers: { connection: 'close' } });
    await client.closed();
  },
);

withRawOrigin(
  'an HTTP/1.0 client does not wait',
  (socket) => socket.end('HTTP/1.1 204 No Content\r\n\r\n'),
  async ({ edge }) => {
    const client = new RawClient(edge().url);
    client.send(`${UPLOAD.replace('HTTP/1.1', 'HTTP/1.0')}hello`);
    expect(await client.answer()).toMatchObject({ status: 204 });
    client.socket.destroy();
  },
);

withRawOrigin(
  'content without a length is framed, whatever the method',
  (socket, request) => {
    if (!request.startsWith('DELETE')) return;
    socket.write('HTTP/1.1 100 Continue\r\n\r\n');
    socket.once('data', () => socket.end('HTTP/1.1 204 No Content\r\n\r\n'));
  },
  async ({ edge }, origin) => {
    const client = new RawClient(edge().url);
    client.send(
      'DELETE /a HTTP/1.1\r\nHost: www.example.org\r\nTransfer-Encoding: chunked\r\n' +
        'Expect: 100-continue\r\n\r\n',
    );
    expect(await client.answer()).toMatchObject({ status: 100 });
    client.send('2\r\nhi\r\n0\r\n\r\n');
    expect(await client.answer()).toMatchObject({ status: 204 });
    expect(origin.requests[0]).toContain('Transfer-Encoding: chunked');
    client.socket.destroy();
  },
);

withRawOrigin(
  'an origin that switches protocols in place of an answer gave none',
  (socket) =>
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'),
  async ({ edge }) => {
    const client = new RawClient(edge().url).send(UPLOAD);
    expect(await client.answer()).toMatchObject({ status: 502 });
    await client.closed();
  },
);
