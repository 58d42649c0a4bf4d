import { connect } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import type { Lane, LaneVerdict } from '#core/serving/lane.ts';
import { listen, type Listener } from '#core/serving/listener.ts';
import { serveClients } from '#edge/request.ts';
import type { World } from '#test/scenario/kit/scenario.ts';

export const HOST = 'Host: www.example.org\r\n';
export const END = `GET /end HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`;
export const get = (target: string, fields = ''): string =>
  `GET ${target} HTTP/1.1\r\n${HOST}${fields}\r\n`;
export const head = (target: string, fields = ''): string =>
  get(target, fields).replace('GET', 'HEAD');

/** Notes what becomes of requests. */
export class Noting implements Lane {
  readonly #lane: Lane;
  readonly verdicts: LaneVerdict[] = [];

  constructor(lane: Lane) {
    this.#lane = lane;
  }
  get end(): number {
    return this.#lane.end;
  }
  mayServe(...args: Parameters<Lane['mayServe']>): boolean {
    return this.#lane.mayServe(...args);
  }
  take(...args: Parameters<Lane['take']>): LaneVerdict {
    const verdict = this.#lane.take(...args);
    this.verdicts.push(verdict);
    return verdict;
  }
  get answered(): number {
    return this.verdicts.filter((verdict) => verdict === 'answered').length;
  }
}

/** An edge that listens twice, with objects in its cache. */
export interface Edge {
  readonly lane: Noting;
  readonly withLane: Listener;
  readonly without: Listener;
}

export async function withEdge(world: World, play: (edge: Edge) => Promise<void>): Promise<void> {
  const { edge, origin, clock } = world;
  const { node } = edge();
  const { handle, lane: hits } = serveClients(node, (error) => edge().errors.push(error));
  const lane = new Noting(hits as Lane);
  const place = { host: '127.0.0.1', port: 0, handle, onError: () => undefined };
  const [withLane, without] = await Promise.all([listen({ ...place, lane, clock }), listen(place)]);
  const fields = { 'Cache-Tag': 'a, b', 'X-Odd': 'caf\xe9' };
  const fresh = { cacheControl: 'max-age=600', etag: '"1"', fields };
  const lastModified = 'Wed, 31 Dec 2025 00:00:00 GMT';
  origin.answers('/a', { ...fresh, lastModified, body: 'content of a' });
  origin.answers('/large', { ...fresh, body: Buffer.alloc(300_000, 'large ') });
  origin.answers('/empty', { ...fresh, body: '' });
  for (const query of ['b=2&a=1', 'a=1&b=2'])
    origin.answers(`/q?${query}`, { ...fresh, body: 'q' });
  origin.answers('/%C3%A9', { ...fresh, body: 'e' });
  origin.answers('/gone', { ...fresh, status: 404, body: 'no' });
  origin.answers('/moved', { ...fresh, status: 301, fields: { Location: '/a' }, body: '' });
  origin.answers('/short', { ...fresh, cacheControl: 'max-age=2', body: 'short' });
  const vary = { ...fields, Vary: 'Accept-Encoding' };
  origin.answers('/vary', { ...fresh, fields: vary, body: 'varies' });
  origin.answers('/private', { cacheControl: 'no-store', body: 'private' });
  const unstored = { cacheControl: 'no-store', body: 'private' };
  for (const method of ['HEAD', 'POST']) origin.answersTo(`${method} /private`, unstored);
  origin.answers('/.well-known/acme-challenge/x', unstored);
  const type = { 'Content-Type': 'text/css' };
  origin.answers('/text', { ...fresh, fields: type, body: 'of many lines\n'.repeat(200) });
  origin.answers('/end', { ...fresh, body: 'end' });
  const all = '/a /large /empty /q?b=2&a=1 /%C3%A9 /gone /moved /short /vary /private /text /end';
  for (const target of all.split(' ')) await edge().get(target);
  // The next ones are passed on at once.
  for (const target of ['/private', '/.well-known/acme-challenge/x']) await edge().get(target);
  await edge().get('/vary', { 'Accept-Encoding': 'gzip' });
  clock.advance('1500ms');
  try {
    await play({ lane, withLane, without });
  } finally {
    await Promise.all([withLane.close(0), without.close(0)]);
  }
}

/** All that comes back for what is sent, until the other side closes. */
export async function exchanged({ port }: Listener, ...pieces: readonly string[]): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true });
  for (const piece of pieces) {
    socket.write(piece, 'latin1');
    // So that they come one by one.
    for (let i = 0; i < 3; i++) await setImmediate();
  }
  let text = '';
  for await (const chunk of socket as AsyncIterable<Buffer>) text += chunk.toString('latin1');
  return text;
}
