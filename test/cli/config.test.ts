import { availableParallelism } from 'node:os';
import { describe, expect, test } from 'vitest';
import { describeConfig, resolveConfig, type Sources } from '#cli/config.ts';
import { controlPlaneSettings, midTierSettings, listenSchema } from '#cli/settings.ts';

const sources = (given: Partial<Sources>): Sources => ({ flags: {}, environment: {}, ...given });
const required = { name: 'edge-oslo', controlPlaneUrls: ['http://127.0.0.1:1'] };

describe('where a value comes from', () => {
  const flags = { workers: '4' };
  const environment = { CANOPY_WORKERS: '3' };
  const file = { name: 'edge.yaml', content: { workers: 2 } };

  test.each([
    ['flag over all', { flags, environment, file }, 4, '--workers'],
    ['environment over file', { environment, file }, 3, 'CANOPY_WORKERS'],
    ['file over default', { file }, 2, 'edge.yaml'],
    ['default', {}, availableParallelism(), 'default'],
    [
      'empty variable is not set',
      { environment: { CANOPY_WORKERS: '' } },
      availableParallelism(),
      'default',
    ],
    [
      'empty file',
      { file: { name: 'edge.yaml', content: null } },
      availableParallelism(),
      'default',
    ],
  ])('%s', (_title, given, workers, origin) => {
    const all = sources({ ...given, flags: { ...required, ...('flags' in given && given.flags) } });
    const config = resolveConfig(midTierSettings, all);
    expect(config.values.workers).toBe(workers);
    expect(config.origins['workers']).toBe(origin);
  });
});

test('text of the environment becomes numbers, sizes, lists and addresses', () => {
  const { values } = resolveConfig(
    midTierSettings,
    sources({
      environment: {
        CANOPY_NAME: 'edge-rome',
        CANOPY_CONTROL_PLANE: 'http://a.test:1, http://b.test:2',
        CANOPY_MEMORY: '1g',
        CANOPY_LISTEN: '[::1]:0',
      },
    }),
  );
  expect(values).toMatchObject({
    name: 'edge-rome',
    controlPlaneUrls: ['http://a.test:1', 'http://b.test:2'],
    memoryBytes: 1024 ** 3,
    listen: { host: '::1', port: 0 },
  });
  expect(Object.isFrozen(values)).toBe(true);
});

describe('what is wrong is named with its source', () => {
  test.each<[string, Partial<Sources>, RegExp]>([
    [
      'absent',
      { flags: { ...required, controlPlaneUrls: undefined } },
      /controlPlaneUrls \(--control-plane or CANOPY_CONTROL_PLANE\).*nothing/,
    ],
    ['in a flag', { flags: { ...required, workers: 'x' } }, /workers \(--workers\).*received "x"/],
    [
      'in the environment',
      { flags: required, environment: { CANOPY_MEMORY: '3' } },
      /memoryBytes \(CANOPY_MEMORY\).*size of at least 1m/,
    ],
    [
      'in the file',
      { flags: required, file: { name: 'e.yaml', content: { listen: 8080 } } },
      /listen \(e\.yaml\): expected string, received 8080/,
    ],
    [
      'unknown in the file',
      { flags: required, file: { name: 'e.yaml', content: { wokers: 2 } } },
      /config file e\.yaml: wokers: expected no such field/,
    ],
    [
      'a secret in the file',
      { flags: required, file: { name: 'e.yaml', content: { credential: 'abc' } } },
      /credential: expected no such field/,
    ],
  ])('%s', (_title, given, message) => {
    expect(() => resolveConfig(midTierSettings, sources(given))).toThrow(message);
  });

  test('a wrong secret is not shown', () => {
    const given = sources({ environment: { CANOPY_ADMIN_TOKEN: 'too-short' } });
    expect(() => resolveConfig(controlPlaneSettings, given)).toThrow(
      /^(?!.*too-short).*adminToken \(CANOPY_ADMIN_TOKEN\)/,
    );
  });
});

test('described config masks secrets and tells sources', () => {
  const environment = { CANOPY_CREDENTIAL: 'hush' };
  const config = resolveConfig(midTierSettings, sources({ flags: required, environment }));
  const rows = describeConfig(midTierSettings, config);
  expect(rows).toContainEqual(['credential', '********', 'CANOPY_CREDENTIAL']);
  expect(rows).toContainEqual(['name', 'edge-oslo', '--name']);
  expect(rows).toContainEqual(['listen', '127.0.0.1:8081', 'default']);
  expect(rows).toContainEqual(['controlPlaneUrls', 'http://127.0.0.1:1', '--control-plane']);
  expect(rows).toContainEqual(['credentialFile', '-', 'not set']);
  expect(JSON.stringify(rows)).not.toContain('hush');
});

test('described config shows where Redis is, and not its password', () => {
  const flags = { redisUrl: 'redis+sentinel://me:hush@10.0.0.1,10.0.0.2/main' };
  const config = resolveConfig(controlPlaneSettings, sources({ flags }));
  expect(describeConfig(controlPlaneSettings, config)).toContainEqual([
    'redisUrl',
    'redis+sentinel://me:********@10.0.0.1,10.0.0.2/main',
    '--redis',
  ]);
});

test.each([
  ['127.0.0.1:8080', { host: '127.0.0.1', port: 8080 }],
  ['localhost:0', { host: 'localhost', port: 0 }],
  ['[::1]:443', { host: '::1', port: 443 }],
  ['8080', undefined],
  ['::1:443', undefined],
  ['127.0.0.1:65536', undefined],
  ['127.0.0.1:', undefined],
])('listenSchema: %s', (text, address) => {
  expect(listenSchema.safeParse(text).data).toEqual(address);
});
