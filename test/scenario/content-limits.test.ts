import { expect } from 'vitest';
import { RawClient } from './kit/raw.ts';
import { scenario } from './kit/scenario.ts';

const HOST = 'Host: www.example.org\r\n';
const SITE = { limits: { maxContentBytes: 5 } };

scenario(
  'content that says it is more than the site takes: 413, and the origin sees nothing',
  { site: SITE },
  async ({ origin, edge }) => {
    const client = new RawClient(edge().url);
    client.send(`POST /a HTTP/1.1\r\n${HOST}Content-Length: 6\r\n\r\n`);
    const answer = await client.answer();
    expect(answer).toMatchObject({ status: 413, headers: { connection: 'close' } });
    expect(JSON.parse(answer.body)).toMatchObject({ code: 'content-too-large' });
    client.send('123456');
    expect(await client.closed()).toBe('');
    origin.saw();
  },
);

scenario('content of just that size passes', { site: SITE }, async ({ origin, edge }) => {
  origin.answersTo('POST /a', { status: 200 });
  const client = new RawClient(edge().url);
  client.send(`POST /a HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\n12345`);
  expect(await client.answer()).toMatchObject({ status: 200, body: '12345' });
  client.socket.destroy();
  origin.saw('POST /a');
});

scenario(
  'content in chunks is cut at the limit: 413, no parent is blamed, and nobody else harmed',
  { site: SITE },
  async ({ origin, edge, midTier }) => {
    origin.answersTo('POST /a', { status: 200 });
    for (let i = 0; i < 10; i++) {
      const client = new RawClient(edge().url);
      client.send(`POST /a HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n`);
      client.send('3\r\nabc\r\n3\r\ndef\r\n');
      const answer = await client.answer();
      expect(answer).toMatchObject({ status: 413, headers: { connection: 'close' } });
      client.socket.destroy();
    }
    expect(edge().node.parents()).toEqual([]);
    expect(midTier().node.parents()).toEqual([]);
    origin.answers('/b', { body: 'b' });
    await edge().get('/b').sees({ status: 200, body: 'b' });
  },
);
