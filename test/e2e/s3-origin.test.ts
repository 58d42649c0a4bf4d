import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BUCKET, S3Service } from '#test/s3.ts';
import { canopy, LongRunning } from './canopy.ts';

const LIMIT_MS = 180_000;

let dir: string;
let s3: S3Service;
const running: LongRunning[] = [];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'canopy-s3-origin-'));
  await writeFile(join(dir, 'credential'), 'none yet');
  s3 = await S3Service.start();
}, LIMIT_MS);
afterAll(async () => {
  await Promise.all(running.map((process) => process.end('SIGKILL')));
  await s3.end();
  await rm(dir, { recursive: true, force: true, maxRetries: 10 });
});

async function serving(
  ...args: readonly string[]
): Promise<{ process: LongRunning; url: string; stdout: string }> {
  const environment = { CANOPY_ADMIN: '127.0.0.1:0', ...s3.environment };
  const process = new LongRunning(args, { cwd: dir, environment });
  running.push(process);
  await process.says('serving on ');
  const { stdout } = process;
  return { process, stdout, url: /serving on (\S+)/.exec(stdout)?.[1] ?? '' };
}

test(
  'an origin that stores in S3 serves what was put, also after it has lost its directory',
  async () => {
    const controlPlane = await serving('control-plane', '--listen', '127.0.0.1:0');
    const token = /admin token, shown this once: (\S+)/.exec(controlPlane.stdout)?.[1] ?? '';
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const put = async (path: string, value: object): Promise<{ credential?: string }> => {
      const answer = await fetch(new URL(path, controlPlane.url), {
        method: 'PUT',
        headers,
        body: JSON.stringify(value),
      });
      expect(answer.status).toBeLessThan(300);
      return (await answer.json()) as { credential?: string };
    };
    await put('/v1/sites/default', { hosts: ['*'], origin: { kind: 'push' } });
    const location = { name: 'oslo', latitude: 59.91, longitude: 10.75 };
    const node = { name: 'origin', tier: 'origin', location };
    const { credential = '' } = await put('/v1/nodes/origin', {
      ...node,
      url: 'http://127.0.0.1:1',
    });
    await writeFile(join(dir, 'credential'), credential);

    const origin = async (stateDir: string) => {
      const bucket = ['--s3-bucket', BUCKET, '--s3-endpoint', s3.endpoint];
      const link = ['--control-plane', controlPlane.url, '--credential-file', 'credential'];
      const place = ['--name', 'origin', '--listen', '127.0.0.1:0', '--dir', stateDir];
      const started = await serving('origin', ...place, ...link, '--store', 's3', ...bucket);
      expect(started.stdout).not.toContain(s3.environment['AWS_SECRET_ACCESS_KEY']);
      await put('/v1/nodes/origin', { ...node, url: started.url });
      return started;
    };
    const object = new URL('/v1/sites/default/objects/note.txt', controlPlane.url);

    const first = await origin('first');
    const file = join(dir, 'note.txt');
    await writeFile(file, 'kept in a bucket');
    const target = ['put', file, 'http://localhost/note.txt'];
    const api = ['--control-plane', controlPlane.url, '--token', token];
    expect(await canopy([...target, ...api], { cwd: dir })).toMatchObject({ code: 0, stderr: '' });
    expect(await (await fetch(object, { headers })).text()).toBe('kept in a bucket');
    // It gives up its claim on the bucket.
    expect(await first.process.end('SIGTERM')).toBe(0);

    await origin('second');
    expect(await (await fetch(object, { headers })).text()).toBe('kept in a bucket');
  },
  LIMIT_MS,
);

test('an origin is told what S3 wants of it', async () => {
  const link = ['--control-plane', 'http://127.0.0.1:1', '--credential-file', 'credential'];
  const { code, stderr } = await canopy(['origin', '--name', 'o', ...link, '--store', 's3'], {
    cwd: dir,
  });
  expect(code).toBe(1);
  expect(stderr).toMatch(/^canopy: --store s3 needs --s3-bucket \(invalid-input\)$/m);
});
