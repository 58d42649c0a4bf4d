import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { describeConfig, resolveConfig } from '#cli/config.ts';
import { accessLogOf, accessLogSettings } from '#cli/log-settings.ts';

let dir: string;
let secret: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'canopy-log-settings-'));
  secret = join(dir, 'authorization');
  await writeFile(secret, 'Bearer abc\n');
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const resolved = (
  flags: Readonly<Record<string, unknown>>,
  environment: Readonly<Record<string, string>> = {},
) => resolveConfig(accessLogSettings, { flags, environment });
const wanted = (...given: Parameters<typeof resolved>) => accessLogOf(resolved(...given).values);

const EVERYTHING = { format: 'json', sample: 1, addresses: 'whole', mask: [] };

describe('an access log', () => {
  test('is not kept unless it is asked for', async () => {
    expect(await wanted({ accessLogSample: '0.5' })).toBeUndefined();
  });

  test('in a file, rotated at 100 MiB, seven kept', async () => {
    expect(await wanted({ accessLog: 'logs/access.log' })).toEqual({
      ...EVERYTHING,
      to: {
        kind: 'file',
        path: resolve('logs/access.log'),
        rotation: { maxBytes: 100 * 1024 ** 2, maxAgeMs: undefined, keep: 7, compress: false },
      },
    });
  });

  test('as the environment says', async () => {
    const environment = {
      CANOPY_ACCESS_LOG: '/var/log/a',
      CANOPY_ACCESS_LOG_FORMAT: 'combined',
      CANOPY_ACCESS_LOG_SAMPLE: '.25',
      CANOPY_ACCESS_LOG_ADDRESSES: 'none',
      CANOPY_ACCESS_LOG_MASK: 'token, signature',
      CANOPY_ACCESS_LOG_MAX: '0',
      CANOPY_ACCESS_LOG_MAX_AGE: '12h',
      CANOPY_ACCESS_LOG_KEEP: '0',
      CANOPY_ACCESS_LOG_COMPRESS: 'true',
    };
    expect(await wanted({}, environment)).toEqual({
      format: 'combined',
      sample: 0.25,
      addresses: 'none',
      mask: ['token', 'signature'],
      to: {
        kind: 'file',
        path: '/var/log/a',
        rotation: { maxBytes: undefined, maxAgeMs: 43_200_000, keep: 0, compress: true },
      },
    });
  });

  test('on standard output', async () => {
    expect(await wanted({ accessLog: '-' })).toEqual({ ...EVERYTHING, to: { kind: 'stdout' } });
  });

  test('at a URL, with the secret of a file, which is shown nowhere', async () => {
    const given = { accessLog: 'https://me:pw@logs.test/in', accessLogAuthorizationFile: secret };
    expect(await wanted(given)).toMatchObject({
      to: {
        kind: 'http',
        url: 'https://me:pw@logs.test/in',
        authorization: 'Bearer abc',
        bufferBytes: 16 * 1024 ** 2,
      },
    });
    const shown = describeConfig(accessLogSettings, resolved(given));
    expect(JSON.stringify(shown)).not.toMatch(/pw|abc/);
  });

  test.each<[string, Readonly<Record<string, unknown>>, RegExp]>([
    ['a format', { accessLogFormat: 'xml' }, /accessLogFormat \(--access-log-format\).*json/],
    ['a part', { accessLogSample: '1.5' }, /accessLogSample.*a number from 0 to 1/],
    ['a part that is none', { accessLogSample: 'half' }, /accessLogSample/],
    ['a size', { accessLogMaxBytes: '5' }, /accessLogMaxBytes.*a size of at least 1m/],
    ['an age', { accessLogMaxAgeSeconds: '5 days' }, /a time such as 45s, 30m, 12h or 90d/],
    ['a number', { accessLogKeep: '-1' }, /accessLogKeep/],
  ])('refuses %s', (_title, flags, reason) => {
    expect(() => resolved({ accessLog: 'a', ...flags })).toThrow(reason);
  });

  test.each<[string, Readonly<Record<string, unknown>>, RegExp]>([
    ['no URL', { accessLog: 'http://' }, /expected a URL, received http:\/\//],
    ['Combined to a URL', { accessLog: 'http://x', accessLogFormat: 'combined' }, /needs .* json/],
    [
      'a secret that is not there',
      { accessLog: 'http://x', accessLogAuthorizationFile: '/not/there' },
      /Cannot read \/not\/there: ENOENT/,
    ],
  ])('refuses %s', async (_title, flags, reason) => {
    await expect(wanted(flags)).rejects.toThrow(reason);
  });
});
