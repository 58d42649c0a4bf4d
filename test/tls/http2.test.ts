import { once } from 'node:events';
import { type ClientHttp2Session, connect, constants } from 'node:http2';
import { buffer } from 'node:stream/consumers';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { eventually } from '#test/eventually.ts';
import { type Issued, TestAuthority } from './authority.ts';
import { HOST, TlsEdge } from './edge.ts';
import { Frames } from './frames.ts';

let root: TestAuthority;
let www: Issued;
beforeAll(async () => {
  root = await TestAuthority.create();
  www = await root.issue({ names: [HOST] });
});

async function started(options: Parameters<typeof TlsEdge.start>[0] = {}): Promise<TlsEdge> {
  const edge = await TlsEdge.start(options);
  edge.certify('www', www);
  return edge;
}

async function session(edge: TlsEdge): Promise<ClientHttp2Session> {
  const client = connect(`https://${HOST}:${edge.port}`, {
    servername: HOST,
    ca: root.ca,
    lookup: (_host: string, _options: object, found: (e: null, a: object[]) => void) =>
      found(null, [{ address: '127.0.0.1', family: 4 }]),
  } as object);
  client.on('error', () => undefined);
  onTestFinished(() => client.destroy());
  await once(client, 'connect');
  return client;
}

async function get(
  client: ClientHttp2Session,
  path = '/',
  headers: Readonly<Record<string, string | string[]>> = {},
  content?: string,
) {
  const stream = client.request({ ':path': path, ':authority': HOST, ...headers });
  const interim: unknown[] = [];
  stream.on('headers', (fields) => void interim.push(fields));
  stream.end(content);
  const [fields] = (await once(stream, 'response')) as [Record<string, string>];
  const body = await buffer(stream);
  return { status: Number(fields[':status']), fields, body: body.toString(), interim };
}

describe('HTTP/2', () => {
  test('is served from the cache as HTTP/1.1 is', async () => {
    const edge = await started();
    const client = await session(edge);
    const first = await get(client);
    expect(first).toMatchObject({ status: 200, body: 'hello' });
    expect(first.fields['cache-status']).toContain('fwd=');
    const second = await get(client);
    expect(second.fields['cache-status']).toContain('hit');
    const head = await get(client, '/', { ':method': 'HEAD' });
    expect([head.status, head.body, head.fields['content-length']]).toEqual([200, '', '5']);
    expect(edge.errors).toEqual([]);
  });

  test('carries what clients send, cookies whole, and what origins answer, fields of one name apart', async () => {
    const client = await session(
      await started({
        origin: (incoming, outgoing) =>
          void buffer(incoming).then((content) => {
            const { cookie, 'x-forwarded-host': host } = incoming.headers;
            outgoing.setHeader('Set-Cookie', ['a=1', 'b=2']);
            outgoing.setHeader('Connection', 'close');
            outgoing.end(
              JSON.stringify({ method: incoming.method, content: String(content), cookie, host }),
            );
          }),
      }),
    );
    const headers = { ':method': 'POST', cookie: ['x=1', 'y=2'] };
    const { fields, body } = await get(client, '/form', headers, 'some content');
    expect(JSON.parse(body)).toEqual({
      method: 'POST',
      content: 'some content',
      cookie: 'x=1; y=2',
      host: HOST,
    });
    expect(fields['set-cookie']).toEqual(['a=1', 'b=2']);
    expect(fields).not.toHaveProperty('connection');
  });

  test('refuses a request whose host contradicts its authority, and tunnels', async () => {
    const client = await session(await started());
    const twice = await get(client, '/', { host: 'other.example' });
    expect(twice.status).toBe(400);
    const tunnel = client.request({ ':method': 'CONNECT', ':authority': `${HOST}:443` });
    const [fields] = (await once(tunnel, 'response')) as [Record<string, string>];
    expect(Number(fields[':status'])).toBe(405);
  });

  test('asks for content that waits to be asked for, and does not take what it does not want', async () => {
    const client = await session(
      await started({
        origin: (incoming, outgoing) => {
          if (incoming.url === '/refused') outgoing.writeHead(403).end('no');
          else incoming.pipe(outgoing);
        },
      }),
    );
    const headers = { ':method': 'PUT', expect: '100-continue' };
    const { body } = await get(client, '/', headers, 'content');
    expect(body).toBe('content');
    const stream = client.request({ ':method': 'POST', ':path': '/refused', ':authority': HOST });
    stream.on('error', () => undefined);
    stream.write(Buffer.alloc(16 * 1024));
    const [fields] = (await once(stream, 'response')) as [Record<string, string>];
    expect(Number(fields[':status'])).toBe(403);
    await eventually(async () => expect(stream.closed).toBe(true));
  });

  test('an answer that breaks off is reset, not ended', async () => {
    const client = await session(
      await started({
        origin: (_, outgoing) => {
          outgoing.writeHead(200, { 'Content-Length': 100_000 });
          outgoing.write(Buffer.alloc(1000), () => outgoing.destroy());
        },
      }),
    );
    const stream = client.request({ ':path': '/', ':authority': HOST });
    await expect(buffer(stream)).rejects.toThrow(/NGHTTP2_INTERNAL_ERROR/);
    expect(client.destroyed).toBe(false);
  });

  test('large answers arrive whole, many at a time', async () => {
    const large = Buffer.alloc(3_000_000, 'abc');
    const client = await session(
      await started({
        origin: (_, outgoing) => outgoing.setHeader('Cache-Control', 'max-age=60').end(large),
      }),
    );
    const bodies = await Promise.all(
      Array.from({ length: 10 }, (_, i) => get(client, `/${i % 3}`)),
    );
    for (const { body } of bodies) expect(body.length).toBe(large.length);
  });

  test('a drain says goodbye, and lets what is under way finish', async () => {
    const release = Promise.withResolvers<void>();
    const edge = await started({
      origin: (_, outgoing) => {
        outgoing.write('begun, ');
        void release.promise.then(() => outgoing.end('done'));
      },
    });
    const client = await session(edge);
    const goaway = once(client, 'goaway');
    const stream = client.request({ ':path': '/', ':authority': HOST });
    await once(stream, 'response');
    const stopped = edge.stop(60_000);
    expect((await goaway)[0]).toBe(constants.NGHTTP2_NO_ERROR);
    release.resolve();
    expect((await buffer(stream)).toString()).toBe('begun, done');
    await stopped;
  });

  test('early hints tell what the page linked to before, while it is fetched', async () => {
    const link = '</style.css>; rel=preload; as=style';
    const edge = await started({
      origin: (_, outgoing) =>
        outgoing.writeHead(200, { 'Cache-Control': 'no-store', Link: link }).end('page'),
      site: { tls: { earlyHints: true } },
    });
    const client = await session(edge);
    expect((await get(client, '/page')).interim).toEqual([]);
    const { interim, body } = await get(client, '/page?other');
    expect(interim).toMatchObject([{ ':status': 103, link }]);
    expect(body).toBe('page');
  });
});

const others = async (edge: TlsEdge): Promise<void> => {
  const { status } = await get(await session(edge));
  expect(status).toBe(200);
};
const attack = async (edge: TlsEdge): Promise<Frames> => {
  const options = { servername: HOST, ca: root.ca, ALPNProtocols: ['h2'] };
  return Frames.begin(await edge.connect(options), HOST);
};
const grownBy = async (work: () => Promise<void>): Promise<number> => {
  const before = process.memoryUsage().rss;
  await work();
  return process.memoryUsage().rss - before;
};

describe('an attack leaves others unharmed', () => {
  const BOUND = 150 * 1024 * 1024;

  test('rapid reset', async () => {
    const edge = await started();
    const attacker = await attack(edge);
    const grown = await grownBy(async () => {
      for (let i = 0; i < 5000 && !attacker.isClosed; i++) await attacker.requestAndReset();
      await attacker.closed();
    });
    expect(attacker.isClosed).toBe(true);
    expect(grown).toBeLessThan(BOUND);
    await others(edge);
    await eventually(async () => expect(edge.activity?.requests).toBe(0));
  });

  test('a flood of CONTINUATION', async () => {
    const edge = await started();
    const attacker = await attack(edge);
    const grown = await grownBy(async () => {
      await attacker.openHeaders();
      for (let i = 0; i < 5000 && !attacker.isClosed; i++) await attacker.continuation(8192);
      await attacker.closed();
    });
    expect(grown).toBeLessThan(BOUND);
    await others(edge);
  });

  test.for(['settings', 'ping', 'windowUpdate', 'priority', 'emptyData'] as const)(
    'a flood of %s',
    async (kind) => {
      const edge = await started();
      const attacker = await attack(edge);
      const grown = await grownBy(async () => {
        // More than anybody is let send, a second's worth at a time.
        for (let i = 0; i < 400 && !attacker.isClosed; i++) await attacker.flood(kind, 2000);
        await attacker.closed();
      });
      expect(grown).toBeLessThan(BOUND);
      await others(edge);
    },
  );

  test('a header bomb', async () => {
    const edge = await started();
    const attacker = await attack(edge);
    const grown = await grownBy(async () => {
      // Each refers many times to one long field that the table keeps.
      for (let i = 0; i < 200 && !attacker.isClosed; i++) await attacker.headerBomb(3000, 8000);
      await attacker.idle();
    });
    expect(grown).toBeLessThan(BOUND);
    await others(edge);
    await eventually(async () => expect(edge.activity?.requests).toBe(0));
  });

  test('windows that stay shut', async () => {
    const large = Buffer.alloc(8_000_000, 'x');
    const edge = await started({
      origin: (_, outgoing) => outgoing.setHeader('Cache-Control', 'max-age=60').end(large),
    });
    await others(edge);
    const attackers = await Promise.all(Array.from({ length: 5 }, () => attack(edge)));
    const grown = await grownBy(async () => {
      for (const attacker of attackers) {
        await attacker.shutWindow();
        for (let i = 0; i < 300 && !attacker.isClosed; i++) await attacker.request();
        await attacker.idle();
      }
    });
    expect(grown).toBeLessThan(BOUND);
    await others(edge);
    for (const attacker of attackers) attacker.end();
    await eventually(async () => expect(edge.activity?.requests).toBe(0));
  });
});
