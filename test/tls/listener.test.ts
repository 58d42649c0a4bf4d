import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '#test/eventually.ts';
import { type Issued, TestAuthority } from './authority.ts';
import { ask, connected, HOST, TlsEdge } from './edge.ts';

let root: TestAuthority;
let www: Issued;
let wild: Issued;
beforeAll(async () => {
  root = await TestAuthority.create();
  www = await root.issue({ names: [HOST] });
  wild = await root.issue({ names: ['*.example.org'] });
});

const namesOf = (socket: TLSSocket): string | undefined =>
  socket.getPeerX509Certificate()?.subjectAltName;

describe('the certificate', () => {
  test('is the one that covers the name, fetched when a client first asks', async () => {
    const edge = await TlsEdge.start();
    edge.certify('www', www);
    edge.certify('wild', wild);
    expect(edge.fetched).toEqual([]);
    const seen = async (servername: string) =>
      namesOf(await edge.connect({ servername, ca: root.ca }));
    expect(await seen(HOST)).toBe(`DNS:${HOST}`);
    expect(edge.fetched).toEqual(['www']);
    expect(await seen('img.example.org')).toBe('DNS:*.example.org');
    expect(await seen('IMG.example.org')).toBe('DNS:*.example.org');
    expect(edge.fetched).toEqual(['www', 'wild']);
  });

  test('is found among thousands', async () => {
    const edge = await TlsEdge.start();
    edge.certify('www', www);
    for (let i = 0; i < 3000; i++) {
      const names = [`host-${i}.example`];
      const fingerprint = i.toString(16).padStart(64, '0');
      const certificate = { name: `other-${i}`, site: null, names, notAfter: 1, fingerprint };
      edge.publish({ type: 'certificate.put', certificate });
    }
    expect(namesOf(await edge.connect({ servername: HOST, ca: root.ca }))).toBe(`DNS:${HOST}`);
    expect(edge.fetched).toEqual(['www']);
  });

  test('is replaced without a connection lost, and presented on while the new one is not to be had', async () => {
    const edge = await TlsEdge.start();
    edge.certify('www', www);
    const open = await edge.connect({ servername: HOST, ca: root.ca });
    const renewed = await root.issue({ names: [HOST, 'renewed.example.org'] });
    edge.isLinked = false;
    edge.certify('www', renewed);
    expect(namesOf(await edge.connect({ servername: HOST, ca: root.ca }))).toBe(`DNS:${HOST}`);
    edge.isLinked = true;
    edge.certify('www', renewed);
    await eventually(async () => {
      const socket = await edge.connect({ servername: HOST, ca: root.ca });
      expect(namesOf(socket)).toContain('renewed');
    });
    expect(await ask(open)).toContain('hello');
  });

  test('of a site is for that site only', async () => {
    const edge = await TlsEdge.start();
    edge.changeSite({ hosts: ['img.example.org'] }, 'images');
    const ofImages = await root.issue({ names: [HOST, 'img.example.org'] });
    edge.certify('wild', wild);
    edge.certify('images', ofImages, 'images');
    const seen = async (servername: string) =>
      namesOf(await edge.connect({ servername, ca: root.ca }));
    expect(await seen('img.example.org')).toContain(HOST);
    expect(await seen(HOST)).toBe('DNS:*.example.org');
  });

  test('named "default" is for clients that name nothing, or what no certificate covers', async () => {
    const edge = await TlsEdge.start();
    const unnamed = { ca: root.ca, checkServerIdentity: () => undefined };
    await expect(edge.connect(unnamed)).rejects.toThrow(/handshake|no shared/i);
    edge.certify('default', www);
    await eventually(async () => expect(namesOf(await edge.connect(unnamed))).toBe(`DNS:${HOST}`));
    const other = { ...unnamed, servername: 'other.example' };
    expect(namesOf(await edge.connect(other))).toBe(`DNS:${HOST}`);
  });

  test('is none for an unknown name where the policy is to refuse', async () => {
    const edge = await TlsEdge.start({ unknownName: 'refuse' });
    edge.certify('default', www);
    const unnamed = { ca: root.ca, checkServerIdentity: () => undefined };
    await eventually(async () => expect(namesOf(await edge.connect(unnamed))).toBe(`DNS:${HOST}`));
    // Even now that there is one for those who name nothing.
    const other = { ...unnamed, servername: 'other.example' };
    await expect(edge.connect(other)).rejects.toThrow(/\w/);
  });

  test('is kept on disk for a start without the control plane, for its owner only', async () => {
    const first = await TlsEdge.start();
    first.certify('www', www);
    await first.connect({ servername: HOST, ca: root.ca });
    const file = join(first.dir, 'www.json');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const again = await TlsEdge.start({ dir: first.dir });
    again.isLinked = false;
    again.certify('www', www);
    expect(namesOf(await again.connect({ servername: HOST, ca: root.ca }))).toBe(`DNS:${HOST}`);
    again.publish({ type: 'certificate.delete', name: 'www' });
    await eventually(async () => expect(await readdir(first.dir)).toEqual([]));
    await expect(readFile(file)).rejects.toThrow(/ENOENT/);
    await expect(again.connect({ servername: HOST, ca: root.ca })).rejects.toThrow(/alert/);
  });
});

test('speaks TLS 1.2 and 1.3, and HTTP/2 before HTTP/1.1', async () => {
  const edge = await TlsEdge.start();
  edge.certify('www', www);
  const options = { servername: HOST, ca: root.ca };
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const versions = { minVersion: version, maxVersion: version };
    const socket = await edge.connect({
      ...options,
      ...versions,
      ALPNProtocols: ['http/1.1', 'h2'],
    });
    expect([socket.getProtocol(), socket.alpnProtocol]).toEqual([version, 'h2']);
  }
  const old = edge.connect({ ...options, minVersion: 'TLSv1', maxVersion: 'TLSv1.1' });
  await expect(old).rejects.toThrow(/\w/);
  await expect(edge.connect({ ...options, ALPNProtocols: ['spdy/3'] })).rejects.toThrow(/alert/);
});

const sessionOf = async (edge: TlsEdge, options: object): Promise<Buffer> => {
  const socket = await edge.connect({ servername: HOST, ca: root.ca, ...options });
  // Of TLS 1.3 it comes after the handshake.
  if (socket.getProtocol() === 'TLSv1.2') return socket.getSession() ?? Buffer.alloc(0);
  const [session] = (await once(socket, 'session')) as [Buffer];
  return session;
};

describe('a session', () => {
  test.for(['TLSv1.2', 'TLSv1.3'] as const)(
    'of %s is resumed at another edge of the fleet, until the secret is another',
    async (version) => {
      const [one, two] = [await TlsEdge.start(), await TlsEdge.start()];
      one.certify('www', www);
      two.certify('www', www);
      const versions = { minVersion: version, maxVersion: version };
      const session = await sessionOf(one, versions);
      const resumed = { servername: HOST, ca: root.ca, ...versions, session };
      expect((await two.connect(resumed)).isSessionReused()).toBe(true);
      two.keeper.tell('ticket-secret', { type: 'ticket-secret', secret: 'another secret of it' });
      await eventually(async () =>
        expect((await two.connect(resumed)).isSessionReused()).toBe(false),
      );
      const fresh = await two.connect(resumed);
      expect(await ask(fresh)).toContain('hello');
    },
  );
});

const withClients = async () => {
  const clients = await TestAuthority.create('Canopy test clients');
  const alice = await clients.issue({ names: ['alice.example'], clientOnly: true });
  const edge = await TlsEdge.start();
  edge.changeSite({ hosts: ['open.example.org'] }, 'open');
  edge.changeSite({ tls: { clientAuthorities: clients.ca } });
  edge.certify('www', www);
  edge.certify('wild', wild);
  return { edge, alice, clients };
};
const named = (servername: string) => ({ servername, ca: root.ca });

describe('client certificates', () => {
  test('are asked for by the site that wants them, and by no other', async () => {
    const { edge, alice } = await withClients();
    const without = await ask(await edge.connect(named(HOST)));
    expect(without).toContain(' 403 ');
    expect(without).toContain('client-certificate-required');
    const asked = await edge.connect({ ...named(HOST), ...alice });
    expect(await ask(asked)).toContain('hello');
    const open = await edge.connect({ ...named('open.example.org'), ...alice });
    expect(await ask(open, '/', 'open.example.org')).toContain('hello');
  });

  test('are asked for and heeded over HTTP/2, too', async () => {
    const { edge, alice } = await withClients();
    const statusFor = async (options: object): Promise<unknown> => {
      const socket = await edge.connect({ ...named(HOST), ...options, ALPNProtocols: ['h2'] });
      const client = connectHttp2(`https://${HOST}`, { createConnection: () => socket });
      const [fields] = (await once(client.request({ ':authority': HOST }), 'response')) as [
        Record<string, unknown>,
      ];
      client.destroy();
      return fields[':status'];
    };
    expect(await statusFor({})).toBe(403);
    expect(await statusFor(alice)).toBe(200);
  });

  test('of other authorities are refused, and so is the site by the name of another', async () => {
    const { edge, alice } = await withClients();
    const mallory = await (await TestAuthority.create()).issue({ names: ['m'], clientOnly: true });
    expect(await ask(await edge.connect({ ...named(HOST), ...mallory }))).toContain(' 403 ');
    const open = await edge.connect({ ...named('open.example.org'), ...alice });
    expect(await ask(open)).toContain(' 403 ');
    expect(await (await fetch(edge.plainUrl, { headers: {} })).text()).toContain('unknown-host');
  });

  test('count when a session is resumed, but a session without one does not count', async () => {
    const { edge, alice } = await withClients();
    const sessionWith = async (options: object) => {
      const socket = await edge.connect({ ...named(HOST), ...options });
      const session = once(socket, 'session') as Promise<[Buffer]>;
      return (await session)[0];
    };
    const proved = await edge.connect({ ...named(HOST), session: await sessionWith(alice) });
    expect(proved.isSessionReused()).toBe(true);
    expect(await ask(proved)).toContain('hello');
    const bare = await edge.connect({ ...named(HOST), session: await sessionWith({}) });
    expect(await ask(bare)).toContain(' 403 ');
    const fromOpen = await edge.connect(named('open.example.org'));
    const [session] = (await once(fromOpen, 'session')) as [Buffer];
    const moved = await edge.connect({ ...named(HOST), session });
    expect(moved.isSessionReused()).toBe(false);
  });

  test('of authorities that the site does not name any more are refused on open connections', async () => {
    const { edge, alice } = await withClients();
    const open = await edge.connect({ ...named(HOST), ...alice });
    const others = await TestAuthority.create('Others');
    edge.changeSite({ tls: { clientAuthorities: others.ca } });
    expect(await ask(open)).toContain(' 403 ');
  });
});

test('a client that says nothing, or nonsense, does not keep others from being served', async () => {
  const edge = await TlsEdge.start();
  edge.certify('www', www);
  const { connect } = await import('node:net');
  const silent = connect(edge.port, '127.0.0.1');
  const nonsense = connect(edge.port, '127.0.0.1');
  nonsense.on('error', () => undefined);
  nonsense.write('GET / HTTP/1.1\r\n\r\n');
  await once(nonsense, 'close');
  const socket = await connected({
    port: edge.port,
    host: '127.0.0.1',
    servername: HOST,
    ca: root.ca,
  });
  expect(await ask(socket)).toContain('hello');
  silent.destroy();
  expect(edge.errors).toEqual([]);
});
