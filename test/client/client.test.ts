import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import { CanopyClient } from '#client/client.ts';
import { router, serve } from './kit.ts';

const FILM = 'http://film.test/film.mp4?a=b';
const BODY = Buffer.from(Array.from({ length: 300_000 }, (_, i) => i % 251));

/** Edges of which each answers as it is told, and what each was asked. */
async function network(...answers: ((q: IncomingMessage, a: ServerResponse) => void)[]) {
  const asked: string[][] = answers.map(() => []);
  const edges = await Promise.all(
    answers.map((answer, i) =>
      serve((incoming, outgoing) => {
        asked[i]?.push(`${incoming.method} ${incoming.url} ${incoming.headers.range ?? ''}`.trim());
        answer(incoming, outgoing);
      }),
    ),
  );
  const url = await router(edges.map((edge) => edge.url));
  let now = 0;
  const client = new CanopyClient({ router: url, now: () => now, attemptTimeoutMs: 20_000 });
  return { client, asked, edges, router: url, pass: (ms: number) => void (now += ms) };
}

const well = (_: IncomingMessage, outgoing: ServerResponse) => void outgoing.end('well');
const unwell = (_: IncomingMessage, outgoing: ServerResponse) =>
  void outgoing.writeHead(503).end('unwell');
const gone = (incoming: IncomingMessage) => void incoming.socket.destroy();

/** Sends what is asked for, of a representation with this ETag. */
const ranged =
  (etag: string, body = BODY, more: Record<string, string> = {}) =>
  ({ headers }: IncomingMessage, outgoing: ServerResponse) => {
    const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? '') ?? [];
    const part = body.subarray(Number(first ?? 0), last ? Number(last) + 1 : body.length);
    outgoing.setHeaders(new Map(Object.entries({ ETag: etag, ...more })));
    outgoing.setHeader('Content-Length', part.length);
    if (first === undefined) return void outgoing.end(part);
    const end = Number(first) + part.length - 1;
    outgoing.setHeader('Content-Range', `bytes ${first}-${end}/${body.length}`);
    outgoing.writeHead(206).end(part);
  };

/** The same, but the connection is cut after so many bytes of each answer. */
const breaking =
  (etag: string, after: number, more: Record<string, string> = {}) =>
  ({ headers }: IncomingMessage, outgoing: ServerResponse) => {
    const [, first = '0'] = /^bytes=(\d+)-/.exec(headers.range ?? '') ?? [];
    const part = BODY.subarray(Number(first));
    outgoing.setHeaders(new Map(Object.entries({ ETag: etag, ...more })));
    outgoing.setHeader('Content-Length', part.length);
    if (headers.range !== undefined) {
      outgoing.setHeader('Content-Range', `bytes ${first}-${BODY.length - 1}/${BODY.length}`);
      outgoing.statusCode = 206;
    }
    outgoing.write(part.subarray(0, after), () => outgoing.destroy());
  };

const bytesOf = async (response: Response) => Buffer.from(await response.arrayBuffer());

describe('CanopyClient.fetch', () => {
  it('asks the router’s first edge, with path and query', async () => {
    const { client, asked } = await network(well, well);
    expect(await (await client.fetch(FILM)).text()).toBe('well');
    expect(asked).toEqual([['GET /film.mp4?a=b'], []]);
  });

  it.each([
    ['does not answer', gone],
    ['answers 503', unwell],
  ])('goes to the next when one %s, and comes back to it later', async (_, failing) => {
    const { client, asked, pass } = await network(failing, well);
    expect(await (await client.fetch(FILM)).text()).toBe('well');
    expect(asked.map((one) => one.length)).toEqual([1, 1]);
    await client.fetch(FILM);
    expect(asked.map((one) => one.length)).toEqual([1, 2]);
    pass(30_001);
    await client.fetch(FILM);
    expect(asked.map((one) => one.length)).toEqual([2, 3]);
  });

  it('gives the answer of trouble when there is no better one', async () => {
    const { client } = await network(unwell, unwell);
    const response = await client.fetch(FILM);
    expect([response.status, await response.text()]).toEqual([503, 'unwell']);
  });

  it('prefers the answer of trouble to a lost connection', async () => {
    const { client } = await network(unwell, gone);
    expect((await client.fetch(FILM)).status).toBe(503);
  });

  it('goes to the next when one does not answer in time', async () => {
    const { router: url, asked } = await network(() => undefined, well);
    const client = new CanopyClient({ router: url, attemptTimeoutMs: 3_000 });
    expect(await (await client.fetch(FILM)).text()).toBe('well');
    expect((await client.edges(FILM)).map(({ name }) => name)).toEqual(['edge-1', 'edge-0']);
    expect(asked.map((one) => one.length)).toEqual([1, 1]);
  });

  it('does nothing twice that is not safe', async () => {
    const { client, asked } = await network(gone, well);
    await expect(client.fetch(FILM, { method: 'POST', body: 'x' })).rejects.toThrow('fetch failed');
    expect(asked.map((one) => one.length)).toEqual([1, 0]);
  });

  it('races edges, and takes the first good answer', async () => {
    let aborted: Promise<unknown> | undefined;
    const hanging = (incoming: IncomingMessage) => {
      aborted = once(incoming.socket, 'close');
    };
    const { client, asked } = await network(hanging, unwell, well);
    expect(await (await client.fetch(FILM, { race: 3 })).text()).toBe('well');
    expect(asked.map((one) => one.length)).toEqual([1, 1, 1]);
    await aborted;
    // Having lost is not having failed.
    expect((await client.edges(FILM)).map(({ name }) => name)).toEqual([
      'edge-0',
      'edge-2',
      'edge-1',
    ]);
  });

  it('stops when it is told to', async () => {
    const controller = new AbortController();
    const { client, asked } = await network(() => controller.abort(new Error('enough')), well);
    await expect(client.fetch(FILM, { signal: controller.signal })).rejects.toThrow('enough');
    expect(asked.map((one) => one.length)).toEqual([1, 0]);
  });

  it('goes to the URL itself where no router answers', async () => {
    const { url } = await serve(well);
    const client = new CanopyClient({ router: ['http://127.0.0.1:9', 'http://127.0.0.1:9'] });
    expect(await (await client.fetch(`${url}/a`)).text()).toBe('well');
  });

  it('asks the next router where one does not answer', async () => {
    const { router: url } = await network(well);
    const client = new CanopyClient({ router: ['http://127.0.0.1:9', url] });
    expect((await client.edges(FILM)).length).toBe(1);
  });
});

describe('a body that breaks off', () => {
  it('is gone on with, from one edge after the other', async () => {
    const { client, asked } = await network(
      breaking('"a"', 1000),
      breaking('"a"', 2000),
      ranged('"a"'),
    );
    const response = await client.fetch(FILM);
    expect((await bytesOf(response)).equals(BODY)).toBe(true);
    expect(asked.flat()[0]).toBe('GET /film.mp4?a=b');
    const offset = (place: number) => Number(/bytes=(\d+)-$/.exec(asked[place]?.[0] ?? '')?.[1]);
    expect(offset(1)).toBeLessThanOrEqual(1000);
    expect(offset(2)).toBeGreaterThanOrEqual(offset(1));
    expect(offset(2)).toBeLessThanOrEqual(3000);
  });

  it('is gone on with to the end of the part that was asked for', async () => {
    const part = (incoming: IncomingMessage, outgoing: ServerResponse) => {
      outgoing.setHeaders(new Map([['ETag', '"a"']]));
      outgoing.writeHead(206, { 'Content-Range': 'bytes 100-299/300000', 'Content-Length': 200 });
      outgoing.write(BODY.subarray(100, 150), () => incoming.socket.destroy());
    };
    const { client, asked } = await network(part, ranged('"a"'));
    const response = await client.fetch(FILM, { headers: { Range: 'bytes=100-299' } });
    expect((await bytesOf(response)).equals(BODY.subarray(100, 300))).toBe(true);
    expect(asked[1]?.[0]).toMatch(/bytes=1[0-5]\d-299$/);
  });

  it.each([
    ['of another version', breaking('"a"', 1000), ranged('"b"')],
    ['with a weak ETag', breaking('W/"a"', 1000), ranged('W/"a"')],
    ['that is coded', breaking('"a"', 1000, { 'Content-Encoding': 'identity' }), ranged('"a"')],
    [
      'of which there are no parts',
      breaking('"a"', 1000, { 'Accept-Ranges': 'none' }),
      ranged('"a"'),
    ],
    ['and that no other edge has', breaking('"a"', 1000), unwell],
  ])('fails where the rest would be %s', async (_, first, next) => {
    const { client } = await network(first, next);
    const response = await client.fetch(FILM);
    await expect(bytesOf(response)).rejects.toThrow('terminated');
  });
});
