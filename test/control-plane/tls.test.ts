import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { Agent, request } from 'undici';
import { expect, onTestFinished, test } from 'vitest';
import { type RunningControlPlane, startControlPlane } from '#control-plane/server.ts';
import { Authority, type Certificate } from '#test/scenario/kit/certificates.ts';
import { FakeClock } from '#test/scenario/kit/clock.ts';
import { ADMIN, eventually, silent, temporaryDir } from './kit.ts';

async function network() {
  const dir = await temporaryDir();
  const authority = new Authority();
  onTestFinished(() => authority.forget());
  const files = { cert: join(dir, 'cert.pem'), key: join(dir, 'key.pem') };
  const install = async ({ cert, key }: Certificate): Promise<void> => {
    await writeFile(files.cert, cert);
    await writeFile(files.key, key);
  };
  await install(authority.certify('IP:127.0.0.1'));
  const clock = new FakeClock();
  const controlPlane = await startControlPlane({
    dir: join(dir, 'state'),
    host: '127.0.0.1',
    port: 0,
    admin: ADMIN,
    clock,
    log: silent,
    adminToken: 'admin-token',
    tls: files,
  });
  onTestFinished(() => controlPlane.close());
  return { authority, clock, controlPlane, files, install };
}

/** The serial number that a new connection is shown. */
const serialAt = ({ url }: RunningControlPlane, ca: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const { port, hostname } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port), ca }, () => {
      resolve(socket.getPeerCertificate().serialNumber);
      socket.destroy();
    }).once('error', reject);
  });

test('the API is served over TLS, to those who trust its authority', async () => {
  const { authority, controlPlane } = await network();
  expect(controlPlane.url).toMatch(/^https:/);
  const trusting = new Agent({ connect: { ca: authority.ca } });
  onTestFinished(() => trusting.destroy());
  const answer = await request(`${controlPlane.url}/v1/health`, { dispatcher: trusting });
  expect(await answer.body.json()).toMatchObject({ status: 'ok' });
  await expect(request(`${controlPlane.url}/v1/health`)).rejects.toThrow(/certificate/);
});

test('a new certificate is presented without a restart; a bad one leaves the old in place', async () => {
  const { authority, clock, controlPlane, files, install } = await network();
  const first = await serialAt(controlPlane, authority.ca);
  await writeFile(files.cert, 'not a certificate');
  await controlPlane.reload();
  expect(await serialAt(controlPlane, authority.ca)).toBe(first);
  await install(authority.certify('IP:127.0.0.1'));
  await controlPlane.reload();
  const second = await serialAt(controlPlane, authority.ca);
  expect(second).not.toBe(first);
  // By itself, too.
  await install(authority.certify('IP:127.0.0.1'));
  await eventually(async () => {
    clock.advance('10s');
    expect(await serialAt(controlPlane, authority.ca)).not.toBe(second);
  });
});

const options = async () => ({
  dir: await temporaryDir(),
  port: 0,
  admin: ADMIN,
  log: silent,
  adminToken: 'admin-token',
});

test('a key of another certificate, or none, stops the start', async () => {
  const { authority, files } = await network();
  await writeFile(files.key, authority.certify('IP:127.0.0.1').key);
  const start = { ...(await options()), host: '127.0.0.1', tls: files };
  await expect(startControlPlane(start)).rejects.toMatchObject({ code: 'invalid-input' });
  const missing = { ...start, tls: { ...files, cert: '/nowhere' } };
  await expect(startControlPlane(missing)).rejects.toThrow('Cannot use the certificate /nowhere');
});

test('beyond this machine there is no plain HTTP, unless it is allowed', async () => {
  const start = { ...(await options()), host: '0.0.0.0' };
  await expect(startControlPlane(start)).rejects.toThrow(
    /would go to and from 0\.0\.0\.0 in the clear/,
  );
  await (await startControlPlane({ ...start, allowPlainHttp: true })).close();
});
