import { join } from 'node:path';
import { onTestFinished, expect, test } from 'vitest';
import { startControlPlane } from '#control-plane/server.ts';
import type { NodeOptions } from '#core/node/process.ts';
import { startOrigin } from '#origin/process.ts';
import { quiet, send, temporaryDir } from './support.ts';

const ADMIN_TOKEN = 'admin-token-of-the-origin-tests';

const node = (url: string) => ({
  name: 'origin',
  tier: 'origin',
  location: { name: 'oslo', latitude: 59.9, longitude: 10.7 },
  url,
});

/** A control plane that knows one origin, at a URL that is not there yet. */
async function network() {
  const dir = await temporaryDir();
  const controlPlane = await startControlPlane({
    dir: join(dir, 'control-plane'),
    host: '127.0.0.1',
    port: 0,
    admin: { host: '127.0.0.1', port: 0 },
    adminToken: ADMIN_TOKEN,
    log: quiet,
  });
  const put = async (path: string, value: unknown) => {
    const headers = {
      Authorization: `Bearer ${ADMIN_TOKEN}`,
      'Content-Type': 'application/json',
    };
    const answer = await send(controlPlane.url, path, 'PUT', headers, JSON.stringify(value));
    return answer.json() as Record<string, unknown>;
  };
  await put('/v1/sites/shop', { name: 'shop', hosts: ['*'], origin: { kind: 'push' } });
  const { credential } = await put('/v1/nodes/origin', node('http://127.0.0.1:1'));
  const options: NodeOptions = {
    name: 'origin',
    controlPlaneUrls: [controlPlane.url],
    credential: String(credential),
    dir: join(dir, 'origin'),
    host: '127.0.0.1',
    port: 0,
    admin: { host: '127.0.0.1', port: 0 },
  };
  return { controlPlane, options, tellUrl: (url: string) => put('/v1/nodes/origin', node(url)) };
}

test('an origin takes objects through the control plane, and serves on without it', async () => {
  const { controlPlane, options, tellUrl } = await network();
  let controlPlaneRuns = true;
  onTestFinished(() => (controlPlaneRuns ? controlPlane.close() : undefined));
  const first = await startOrigin(options);
  await tellUrl(first.url);
  const object = '/v1/sites/shop/objects/a.html';
  const headers = { Authorization: `Bearer ${ADMIN_TOKEN}` };
  const stored = await send(controlPlane.url, object, 'PUT', headers, '<p>');
  expect(stored.status).toBe(201);
  expect(stored.json()).toMatchObject({ contentType: 'text/html; charset=utf-8', size: 3 });
  expect((await send(controlPlane.url, object, 'GET', headers)).text).toBe('<p>');
  await first.close();

  await controlPlane.close();
  controlPlaneRuns = false;
  // Starts from its last good config.
  const second = await startOrigin(options);
  onTestFinished(() => second.close());
  expect((await send(second.url, '/.canopy/health', 'GET', {})).status).toBe(200);
  expect((await send(second.url, '/a.html', 'GET', {})).status).toBe(403);
});

test('two origins cannot share a directory or a port', async () => {
  const { controlPlane, options } = await network();
  onTestFinished(() => controlPlane.close());
  const first = await startOrigin(options);
  onTestFinished(() => first.close());
  await expect(startOrigin(options)).rejects.toThrow(/in use by another process/);
  const port = Number(new URL(first.url).port);
  const elsewhere = { ...options, dir: `${options.dir}-2`, port };
  await expect(startOrigin(elsewhere)).rejects.toThrow(`127.0.0.1:${port} is in use`);
});
