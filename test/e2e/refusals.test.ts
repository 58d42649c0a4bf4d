import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { canopy } from './canopy.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'canopy-refusals-'));
});
afterEach(() => rm(dir, { recursive: true, force: true, maxRetries: 10 }));

describe('what cannot work is refused in one line, and nothing is left running', () => {
  test.each<[string, readonly string[], RegExp]>([
    ['an unknown command', ['upp'], /unknown command 'upp' \(Did you mean up\?\)/],
    [
      'an unknown option',
      ['up', '--edgs', '3'],
      /unknown option '--edgs' \(Did you mean --edges\?\)/,
    ],
    ['a bad number', ['up', '--edges', 'many'], /--edges.*'many'.*whole number from 0 to 100/],
    ['a bad size', ['up', '--memory', '12x'], /--memory.*'12x'.*size/],
    ['a disk that is too small', ['up', '--disk', '12k'], /--disk.*'12k'.*at least 1m/],
    ['a port that is none', ['up', '--port', '65536'], /--port.*from 0 to 65535/],
    ['ports beyond the last', ['up', '--port', '65535'], /65535 to 65548.*\(invalid-input\)/],
    ['a pull URL with a path', ['up', '--pull', 'http://a.test/b'], /--pull.*without a path/],
    [
      'an unreachable origin',
      ['up', '--pull', 'http://127.0.0.1:1'],
      /127\.0\.0\.1:1 .*ECONNREFUSED.*\(upstream-unreachable\)/,
    ],
    [
      'a site file that is not there',
      ['up', '--site', 'nowhere.yaml'],
      /Cannot read nowhere\.yaml/,
    ],
    [
      'a host that is none',
      ['up', '--host', 'A B'],
      /hosts\.0: expected a lower-case hostname.*"A B"/,
    ],
    ['purging nothing', ['purge'], /Give one of URLs, --prefix/],
    [
      'purging in two modes',
      ['purge', '--everything', '--soft', '--ban'],
      /'--soft' cannot be used/,
    ],
    ['no network', ['nodes'], /No control plane is known/],
    [
      'a node without credential',
      ['edge', '--name', 'a', '--control-plane', 'http://127.0.0.1:1'],
      /CANOPY_CREDENTIAL/,
    ],
  ])('%s', async (_title, args, reason) => {
    const result = await canopy(args, { cwd: dir });
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/^canopy: .*\n$/);
    expect(result.stderr).toMatch(reason);
  });

  test.each<[string, readonly string[], RegExp]>([
    ['less left free than may be', ['--disk-keep-free', '0'], /--disk-keep-free.*at least 1m.*"0"/],
    ['a number of files that is none', ['--disk-files', 'few'], /--disk-files.*number.*"few"/],
    ['no files at all', ['--disk-files', '0'], /--disk-files.*from 1 to.*"0"/],
    ['a reserve without a disk', ['--reserve', '1g'], /reserve is a part of the disk: give --disk/],
    [
      'a reserve beyond the disk',
      ['--disk', '1g', '--reserve', '2g'],
      /--reserve is a part of --disk, and larger/,
    ],
  ])('disk of a node: %s', async (_title, args, reason) => {
    const credential = join(dir, 'credential');
    await writeFile(credential, 'a credential');
    const node = ['--name', 'a', '--credential-file', credential, '--dir', join(dir, 'node')];
    const asked = ['mid-tier', ...node, '--control-plane', 'http://127.0.0.1:1', ...args];
    const { code, stderr } = await canopy(asked, { cwd: dir });
    expect({ code, lines: stderr.split('\n').length }).toEqual({ code: 1, lines: 2 });
    expect(stderr).toMatch(/\(invalid-input\)\n$/);
    expect(stderr).toMatch(reason);
  });

  test('a bad site file: the field, what was expected, what came', async () => {
    const file = join(dir, 'site.yaml');
    await writeFile(file, 'cache:\n  staleIfErrorSeconds: soon\n');
    const result = await canopy(['up', '--site', file], { cwd: dir });
    expect(result).toMatchObject({ code: 1, stdout: '' });
    expect(result.stderr).toMatch(
      /^canopy: Invalid site: cache\.staleIfErrorSeconds: expected .*received "soon" \(invalid-input\)\n$/,
    );
  });

  test('a site file that does not parse: the line', async () => {
    const file = join(dir, 'site.json');
    await writeFile(file, '{\n  "cache": {\n');
    const result = await canopy(['up', '--site', file], { cwd: dir });
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/^canopy: Cannot parse .*site\.json, line \d: .*\n$/);
  });

  test('a port in use: which, and for whom', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const result = await canopy(['up', '--port', `${port}`], { cwd: dir });
    server.close();
    expect(result).toMatchObject({ code: 1, stdout: '' });
    expect(result.stderr).toMatch(
      new RegExp(`^canopy: Port ${port} \\(for edge-oslo\\) is in use; .*--port \\(conflict\\)\n$`),
    );
  });
});
