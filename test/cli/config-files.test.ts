import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { asWritten, namingFiles, readConfig, writeConfig } from '#cli/config-files.ts';
import { type SiteInput, siteSchema } from '#core/contract/site.ts';
import { CanopyError } from '#core/errors.ts';

let dir: string;
beforeEach(async () => void (dir = await mkdtemp(join(tmpdir(), 'canopy-files-'))));
afterEach(() => rm(dir, { recursive: true, force: true }));

const write = async (name: string, text: string): Promise<string> => {
  await writeFile(join(dir, name), text);
  return join(dir, name);
};

const pull: SiteInput['origin'] = { kind: 'pull', servers: [{ url: 'http://o.example' }] };

describe('asWritten', () => {
  test.for<[what: string, site: SiteInput]>([
    ['a plain site', { name: 'a', hosts: ['a.example'], origin: { kind: 'push' } }],
    [
      'settings of it',
      { name: 'a', hosts: ['a.example'], origin: pull, cache: { sliceBytes: 4096 } },
    ],
    [
      'settings of items in lists',
      {
        name: 'a',
        hosts: ['b.example', 'a.example'],
        origin: {
          kind: 'pull',
          servers: [{ url: 'http://o.example', weight: 2 }, { url: 'http://p.example' }],
        },
        rules: [{ match: { path: '/x/**' }, cache: { maxFreshSeconds: null } }],
      },
    ],
  ])('leaves %s as an operator writes it', ([, site]) => {
    expect(asWritten(siteSchema.parse(site))).toEqual(site);
  });
});

describe('readConfig', () => {
  test('takes every file of a directory, of one site or several, in order', async () => {
    await write('b.yaml', 'name: b');
    await write('a.json', '{"sites": [{"name": "c"}, {"name": "a"}]}');
    await write('notes.txt', 'nothing');
    expect(await readConfig(dir)).toEqual({
      sites: [{ name: 'c' }, { name: 'a' }, { name: 'b' }],
      files: ['a.json', 'a.json', 'b.yaml'],
    });
  });

  test('an empty list is a wish, an empty directory is not', async () => {
    expect(await readConfig(await write('none.yaml', 'sites: []'))).toMatchObject({ sites: [] });
    await mkdir(join(dir, 'empty'));
    await expect(readConfig(join(dir, 'empty'))).rejects.toThrow('holds no .yaml');
  });

  test.for([
    ['one site', 'name: a', /has no `sites`.*canopy sites put/],
    ['no object', '[1]', /has no `sites`/],
    ['something else', 'sites: 1', /`sites` is not a list/],
    ['a slip', '{sites: [], site: 1}', /can be no `site`/],
  ] as const)('a file that holds %s is refused', async ([, text, reason]) => {
    await expect(readConfig(await write('x.yaml', text))).rejects.toThrow(reason);
  });

  test('what is not there is refused', async () => {
    await expect(readConfig(join(dir, 'nowhere'))).rejects.toMatchObject({ code: 'invalid-input' });
  });
});

test('writeConfig writes what readConfig reads', async () => {
  const sites = ['a', 'b'].map((name) =>
    siteSchema.parse({ name, hosts: [`${name}.example`], origin: pull, shieldGroup: 'eu' }),
  );
  const target = join(dir, 'new', 'place');
  expect(await writeConfig(target, sites)).toEqual(
    ['a', 'b'].map((name) => join(target, `${name}.yaml`)),
  );
  const read = await readConfig(target);
  expect(read.sites.map((site) => siteSchema.parse(site))).toEqual(sites);
});

test('namingFiles puts the file in the place of the number', () => {
  const error = new CanopyError(
    'invalid-input',
    'Invalid configuration: sites.1.hosts: expected array',
  );
  expect(namingFiles(error, ['a.yaml', 'b.yaml'])).toMatchObject({
    code: 'invalid-input',
    message: 'Invalid configuration: b.yaml.hosts: expected array',
  });
  const other = new CanopyError('conflict', 'sites.1');
  expect(namingFiles(other, ['a.yaml', 'b.yaml'])).toBe(other);
});
