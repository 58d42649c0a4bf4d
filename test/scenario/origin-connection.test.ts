import { createHmac } from 'node:crypto';
import dns, { type LookupAddress } from 'node:dns';
import { once } from 'node:events';
import {
  createServer as createHttpServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createSecureServer, type Http2SecureServer } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, onTestFinished, vi } from 'vitest';
import type { SiteInput } from '#core/contract/site.ts';
import { signatureBase } from '#core/tree/signature.ts';
import { Authority, type Certificate } from './kit/certificates.ts';
import { scenario, type World } from './kit/scenario.ts';

interface Asked {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly httpVersion: string;
  readonly headers: IncomingHttpHeaders;
  readonly serverName: string | false | undefined;
}

interface Origin {
  readonly port: number;
  readonly asked: Asked[];
}

type Answer = (incoming: IncomingMessage, outgoing: ServerResponse) => void;
const says =
  (body: string): Answer =>
  (_, outgoing) =>
    void outgoing.end(body);
const plain = says('content');

let authority: Authority;
let local: Certificate;
let named: Certificate;
beforeAll(() => {
  authority = new Authority();
  local = authority.certify('IP:127.0.0.1');
  named = authority.certify('DNS:origin.example');
});
afterAll(() => authority.forget());

async function start(
  server: Server | Http2SecureServer,
  answer: Answer,
  host = '127.0.0.1',
  listeningAt = 0,
): Promise<Origin> {
  const asked: Asked[] = [];
  server.on('request', (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const { method, url, httpVersion, headers } = incoming;
    const { servername: serverName } = incoming.socket as { servername?: string | false };
    asked.push({ method, url, httpVersion, headers, serverName });
    answer(incoming, outgoing);
  });
  server.listen(listeningAt, host);
  await once(server, 'listening');
  onTestFinished(() => {
    if ('closeAllConnections' in server) server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, asked };
}

const tls = (certificate: Certificate, answer = plain) =>
  start(createHttpsServer(certificate), answer);

type Settings = Omit<Extract<SiteInput['origin'], { kind: 'pull' }>, 'kind' | 'servers'>;

function pullFrom({ changeSite }: World, url: string, settings: Settings = {}): void {
  changeSite({ origin: { kind: 'pull', servers: [{ url }], ...settings } });
}

describe('an https server', () => {
  scenario('is believed only by a certificate of an authority that is trusted', async (world) => {
    const { port, asked } = await tls(local);
    const url = `https://127.0.0.1:${port}`;
    pullFrom(world, url);
    await world.edge().get('/a').sees({ status: 502 });
    expect(asked).toEqual([]);
    pullFrom(world, url, { tls: { ca: authority.ca } });
    await world.edge().get('/a').sees({ status: 200, body: 'content' });
  });

  scenario('is believed only under its name, which may be given', async (world) => {
    const { port, asked } = await tls(named);
    const url = `https://127.0.0.1:${port}`;
    pullFrom(world, url, { tls: { ca: authority.ca } });
    await world.edge().get('/a').sees({ status: 502 });
    pullFrom(world, url, { tls: { ca: authority.ca, serverName: 'origin.example' } });
    await world.edge().get('/a').sees({ status: 200 });
    expect(asked.map(({ serverName }) => serverName)).toEqual(['origin.example']);
  });

  scenario('is believed by any certificate where the site says so', async (world) => {
    const { port } = await tls(named);
    pullFrom(world, `https://127.0.0.1:${port}`, { tls: { verify: false } });
    await world.edge().get('/a').sees({ status: 200 });
  });

  scenario('is asked under the same conditions over a connection of its own', async (world) => {
    const { port, asked } = await tls(local);
    const url = `https://127.0.0.1:${port}`;
    const upload = {
      method: 'PUT',
      headers: { Expect: '100-continue', 'Content-Length': '4' },
      content: 'text',
    };
    pullFrom(world, url);
    await world.edge().send('/a', upload).sees({ status: 502 });
    expect(asked).toEqual([]);
    pullFrom(world, url, { tls: { ca: authority.ca } });
    await world.edge().send('/a', upload).sees({ status: 200 });
  });
});

describe('HTTP/2', () => {
  scenario('is spoken where site and server want it', async (world) => {
    const { port, asked } = await start(
      createSecureServer({ ...local, allowHTTP1: true }),
      (_, outgoing) => {
        outgoing.setHeader('Cache-Control', 'max-age=60');
        outgoing.setHeader('Set-Cookie', ['a=1', 'b=2']);
        outgoing.end('content');
      },
    );
    const url = `https://127.0.0.1:${port}`;
    pullFrom(world, url, { tls: { ca: authority.ca } });
    await world.edge().get('/a').sees({ status: 200 });
    pullFrom(world, url, { tls: { ca: authority.ca }, http2: true });
    const { headers } = await world.edge().get('/b').sees({ status: 200, body: 'content' });
    expect(headers['set-cookie']).toEqual(['a=1', 'b=2']);
    expect(asked.map(({ httpVersion }) => httpVersion)).toEqual(['1.1', '2.0']);
    expect(asked[1]?.headers[':authority']).toBe(`127.0.0.1:${port}`);
  });

  scenario('is not spoken with a server that does not offer it', async (world) => {
    const { port, asked } = await tls(local);
    pullFrom(world, `https://127.0.0.1:${port}`, { tls: { ca: authority.ca }, http2: true });
    await world.edge().get('/a').sees({ status: 200 });
    expect(asked.map(({ httpVersion }) => httpVersion)).toEqual(['1.1']);
  });
});

describe('what a server is sent', () => {
  scenario('has the host, the fields and the signature that the site wants', async (world) => {
    const { port, asked } = await start(createHttpServer(), plain);
    const secret = 'a secret that both share';
    pullFrom(world, `http://127.0.0.1:${port}`, {
      hostHeader: 'shop.internal',
      requestFields: { 'X-Origin-Key': 'letmein', 'User-Agent': 'canopy' },
      signing: { keyId: 'shop', secret },
    });
    await world.edge().get('/a?b', { 'User-Agent': 'curl', 'X-Origin-Key': 'guessed' });
    const [headers] = asked.map((one) => one.headers);
    expect(headers).toMatchObject({
      host: 'shop.internal',
      'x-origin-key': 'letmein',
      'user-agent': 'canopy',
    });
    // As a server checks it, from what it received.
    const parameters = String(headers?.['signature-input']).replace(/^canopy=/, '');
    const base = signatureBase(
      [
        ['"@method"', 'GET'],
        ['"@authority"', 'shop.internal'],
        ['"@path"', '/a'],
        ['"@query"', '?b'],
      ],
      parameters,
    );
    const digest = createHmac('sha256', secret).update(base).digest('base64');
    expect(headers?.['signature']).toBe(`canopy=:${digest}:`);
  });

  scenario('goes to a server of IPv6 as well', async (world) => {
    const { port, asked } = await start(createHttpServer(), plain, '::1');
    pullFrom(world, `http://[::1]:${port}`);
    await world.edge().get('/a').sees({ status: 200, body: 'content' });
    expect(asked[0]?.headers.host).toBe(`[::1]:${port}`);
  });

  scenario('goes to whichever address of a name answers', async (world) => {
    const { port } = await start(createHttpServer(), plain);
    pullFrom(world, `http://localhost:${port}`);
    await world.edge().get('/a').sees({ status: 200, body: 'content' });
  });

  scenario(
    'goes where a name leads by now, once its connections are a minute old',
    async (world) => {
      const { port } = await start(createHttpServer(), says('before'));
      await start(createHttpServer(), says('after'), '127.0.0.2', port);
      let address = '127.0.0.1';
      const lookup = ((_name: string, _options: unknown, found: LookupCallback) =>
        found(null, [{ address, family: 4 }])) as typeof dns.lookup;
      vi.spyOn(dns, 'lookup').mockImplementation(lookup);
      // Ages of connections are told by the wall clock, which undici does not take from us.
      vi.useFakeTimers({ toFake: ['Date'] });
      onTestFinished(() => void vi.useRealTimers().restoreAllMocks());
      pullFrom(world, `http://origin.example:${port}`);
      await world.edge().get('/a').sees({ status: 200, body: 'before' });
      address = '127.0.0.2';
      await world.edge().get('/b').sees({ status: 200, body: 'before' });
      vi.setSystemTime(Date.now() + 61_000);
      await world.edge().get('/c').sees({ status: 200, body: 'after' });
    },
  );
});

type LookupCallback = (error: null, addresses: readonly LookupAddress[]) => void;

const to =
  (location: string): Answer =>
  (_, outgoing) =>
    void outgoing.writeHead(302, { Location: location }).end('moved');

describe('a redirect', () => {
  scenario('is the client’s to follow, unless the site says otherwise', async (world) => {
    const { port } = await start(createHttpServer(), to('/b'));
    pullFrom(world, `http://127.0.0.1:${port}`);
    await world
      .edge()
      .get('/a')
      .sees({ status: 302, headers: { location: '/b' } });
  });

  scenario('is gone to in its place, without what is meant for the site alone', async (world) => {
    const elsewhere = await start(createHttpServer(), (_, outgoing) => {
      outgoing.setHeader('Cache-Control', 'max-age=60');
      outgoing.end('from elsewhere');
    });
    const { port } = await start(createHttpServer(), to(`http://localhost:${elsewhere.port}/c?d`));
    pullFrom(world, `http://127.0.0.1:${port}`, {
      hostHeader: 'client',
      requestFields: { 'X-Origin-Key': 'letmein' },
      signing: { keyId: 'shop', secret: 'a secret that both share' },
      redirects: { max: 1, hosts: ['localhost'] },
    });
    const cookie = { Cookie: 'session=1' };
    await world.edge().get('/a', cookie).sees({ status: 200, body: 'from elsewhere' });
    await world.edge().get('/a', cookie).sees({ status: 200, edge: 'fresh' });
    expect(elsewhere.asked).toHaveLength(1);
    const [asked] = elsewhere.asked;
    expect(asked?.url).toBe('/c?d');
    expect(asked?.headers.host).toBe(`localhost:${elsewhere.port}`);
    for (const name of ['cookie', 'x-origin-key', 'signature']) {
      expect(asked?.headers).not.toHaveProperty(name);
    }
  });

  scenario('is told to the client where it leads elsewhere than it may', async (world) => {
    const elsewhere = await start(createHttpServer(), plain);
    const location = `http://localhost:${elsewhere.port}/`;
    const { port } = await start(createHttpServer(), to(location));
    pullFrom(world, `http://127.0.0.1:${port}`, { redirects: { max: 5 } });
    await world.edge().get('/a').sees({ status: 302, headers: { location } });
    expect(elsewhere.asked).toEqual([]);
  });

  scenario('that leads in circles ends', async (world) => {
    const { port, asked } = await start(createHttpServer(), to('/a'));
    pullFrom(world, `http://127.0.0.1:${port}`, { redirects: { max: 3 } });
    await world.edge().get('/a').sees({ status: 302 });
    expect(asked).toHaveLength(4);
  });
});
