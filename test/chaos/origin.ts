import { createServer } from 'node:http';
import { bodyOf, etagOf } from './content.ts';

// A customer's server as a process of its own, so that a test can kill, stop and slow it.
// argv: the port. Messages tell it how to behave; it tells how many requests have come.

/** What the test tells it. */
export interface Behaviour {
  readonly delayMs: number;
  /** Whether whole answers are cut in the middle; their continuations are not. */
  readonly cuts: boolean;
}

/** What it tells the test, once it listens and ten times a second. */
export interface Told {
  readonly requests: number;
}

let behaviour: Behaviour = { delayMs: 0, cuts: false };
let requests = 0;

const server = createServer((incoming, outgoing) => {
  requests++;
  const { url: target = '/', headers } = incoming;
  const body = bodyOf(target);
  const etag = etagOf(target);
  const { delayMs, cuts } = behaviour;
  setTimeout(() => {
    outgoing.setHeader('Cache-Control', 'max-age=1');
    if (etag !== undefined) outgoing.setHeader('ETag', etag);
    if (etag !== undefined && headers['if-none-match'] === etag) {
      outgoing.writeHead(304).end();
      return;
    }
    const from = Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1] ?? 0);
    if (from > 0 && headers['if-range'] === etag) {
      outgoing.setHeader('Content-Range', `bytes ${from}-${body.length - 1}/${body.length}`);
      outgoing.writeHead(206).end(body.subarray(from));
      return;
    }
    outgoing.setHeader('Content-Length', body.length);
    if (!cuts || etag === undefined) outgoing.end(body);
    else {
      const half = body.subarray(0, body.length >> 1);
      outgoing.write(half, () => outgoing.socket?.resetAndDestroy());
    }
  }, delayMs);
});

const tell = (): void => void process.send?.({ requests } satisfies Told);
process.on('message', (message: Behaviour) => {
  behaviour = message;
});
// Without the test there is nobody to end it.
process.on('disconnect', () => process.exit());
server.listen(Number(process.argv[2]), '127.0.0.1', tell);
setInterval(tell, 100);
