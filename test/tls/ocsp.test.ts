import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { buffer } from 'node:stream/consumers';
import { pino } from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '#core/clock.ts';
import { ocspHoldsUntil, ocspQuestion } from '#core/serving/tls/ocsp.ts';
import { Staples } from '#core/serving/tls/staples.ts';
import { eventually } from '#test/eventually.ts';
import { type Issued, TestAuthority } from './authority.ts';
import { HOST, TlsEdge } from './edge.ts';

const NOTHING = Buffer.alloc(0);

/** An authority whose responder is OpenSSL's. */
async function responder(): Promise<{
  root: TestAuthority;
  url: string;
  knows: (issued: Issued, status: 'V' | 'R') => void;
  answer: (request: Buffer) => Buffer;
}> {
  const root = await TestAuthority.create();
  const dir = mkdtempSync(join(tmpdir(), 'canopy-ocsp-'));
  const file = (name: string): string => join(dir, name);
  writeFileSync(file('ca.pem'), root.ca);
  writeFileSync(file('ca.key'), await root.key());
  writeFileSync(file('index'), '');
  const answer = (request: Buffer): Buffer => {
    writeFileSync(file('request'), request);
    const by = ['-CA', 'ca.pem', '-rsigner', 'ca.pem', '-rkey', 'ca.key', '-ndays', '1'];
    const files = ['-index', 'index', '-reqin', 'request', '-respout', 'response'];
    execFileSync('openssl', ['ocsp', ...by, ...files], { cwd: dir, stdio: 'pipe' });
    return readFileSync(file('response'));
  };
  const server = createServer((incoming, outgoing) => {
    void buffer(incoming).then((request) => outgoing.end(answer(request)));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
    rmSync(dir, { recursive: true, force: true });
  });
  const knows = ({ cert }: Issued, status: 'V' | 'R'): void => {
    const { serialNumber } = new X509Certificate(cert);
    const revoked = status === 'R' ? '260101000000Z' : '';
    writeFileSync(
      file('index'),
      `${status}\t391231235959Z\t${revoked}\t${serialNumber}\tunknown\t/CN=x\n`,
    );
  };
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  return { root, url, knows, answer };
}

test('an answer is taken only if it is good, about the certificate, signed, and of now', async () => {
  const { root, url, knows, answer } = await responder();
  const www = await root.issue({ names: [HOST], ocspUrl: url });
  const chain = www.cert + root.ca;
  const question = ocspQuestion(chain);
  if (question === undefined) throw new Error('There is nothing to ask');
  expect(question.url).toBe(url);
  knows(www, 'V');
  const good = answer(question.request);
  const until = ocspHoldsUntil(good, chain, Date.now());
  expect(until).toBeGreaterThan(Date.now());
  const refused =
    (response: Buffer, of = chain, now = Date.now()) =>
    () =>
      ocspHoldsUntil(response, of, now);
  expect(refused(good, chain, until + 1)).toThrow(/not any more/);
  const other = await root.issue({ names: [HOST], ocspUrl: url });
  expect(refused(good, other.cert + root.ca)).toThrow(/another certificate/);
  const changed = Buffer.from(good);
  // Produced a minute earlier or later.
  const minute = good.toString('latin1').search(/20\d{12}Z/) + 11;
  changed[minute] = (changed[minute] ?? 0) ^ 1;
  expect(refused(changed)).toThrow(/not signed/);
  knows(www, 'R');
  expect(refused(answer(question.request))).toThrow(/revoked/);
  knows(other, 'V');
  expect(refused(answer(question.request))).toThrow(/does not know/);
  expect(ocspQuestion((await root.issue({ names: [HOST] })).cert + root.ca)).toBeUndefined();
  expect(ocspQuestion(www.cert)).toBeUndefined();
});

test('what the responder says is stapled for clients that want it', async () => {
  const { root, url, knows } = await responder();
  const www = await root.issue({ names: [HOST], ocspUrl: url });
  knows(www, 'V');
  const edge = await TlsEdge.start();
  const staples = new Staples({
    clock: systemClock,
    log: pino({ level: 'silent' }),
    tell: (fingerprint, response) => edge.keeper.tellStaple(fingerprint, response),
  });
  onTestFinished(() => staples.close());
  edge.certify('www', { cert: www.cert + root.ca, key: www.key });
  const stapled = async (): Promise<Buffer> => {
    const options = { servername: HOST, ca: root.ca, requestOCSP: true };
    const heard = Promise.withResolvers<Buffer>();
    const socket = connect({ host: '127.0.0.1', port: edge.port, ...options });
    socket.on('OCSPResponse', (response: Buffer | null) => heard.resolve(response ?? NOTHING));
    socket.on('error', heard.reject);
    onTestFinished(() => void socket.destroy());
    return heard.promise;
  };
  expect(await stapled()).toHaveLength(0);
  staples.present(edge.material('www'));
  await eventually(async () => expect((await stapled()).length).toBeGreaterThan(100));
  ocspHoldsUntil(await stapled(), www.cert + root.ca, Date.now());
  staples.forget('www');
  await eventually(async () => expect(await stapled()).toHaveLength(0));
});

test('a responder that does not stop is not listened to', async () => {
  const server = createServer((_, outgoing) => {
    const more = (): void => {
      if (!outgoing.destroyed)
        outgoing.write(Buffer.alloc(16_384), (error) => void (error ?? more()));
    };
    more();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const root = await TestAuthority.create();
  const ocspUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const { cert, key } = await root.issue({ names: [HOST], ocspUrl });
  const warned = Promise.withResolvers<string>();
  const staples = new Staples({
    clock: systemClock,
    log: { warn: (text: string) => warned.resolve(text) },
    tell: () => undefined,
  });
  onTestFinished(() => staples.close());
  staples.present({ name: 'www', fingerprint: '0'.repeat(64), chain: cert + root.ca, key });
  expect(await warned.promise).toContain('more than 65536 bytes');
});
