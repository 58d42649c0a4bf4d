import { gzipSync } from 'node:zlib';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { bar, progressBar } from '#cli/simulate/bars.ts';
import { readLogLine } from '#cli/simulate/log-line.ts';
import { replay } from '#cli/simulate/replay.ts';
import { canopy } from '#test/e2e/canopy.ts';

const common = (request: string, status: number | string, sent: number | string): string =>
  `192.0.2.7 - - [10/Oct/2026:13:55:36 +0000] "${request}" ${status} ${sent}`;

// Of 10,000 bytes each takes 4,000 or so, so that two fit.
const requests = (script: string, bytes: readonly number[] = []) => ({
  ids: Uint32Array.from(script, (letter) => letter.charCodeAt(0) - 97),
  keys: 'abcdefghijklmnopqrstuvwxyz'.split(''),
  bytes: Array.from({ length: 26 }, (_, i) => bytes[i] ?? 2900),
});

describe('a line of an access log', () => {
  test.each<[string, string, ReturnType<typeof readLogLine>]>([
    ['JSON', '{"time":1,"key":"/a","size":5}', { key: '/a', bytes: 5 }],
    ['JSON cut off', '{"time":1,"key":"/a","si', 'unreadable'],
    ['JSON without size', '{"key":"/a"}', 'unreadable'],
    ['JSON of another shape', '{"key":["/a"],"size":5}', 'unreadable'],
    [
      'of a node',
      '{"method":"GET","host":"x.test","target":"/a?b","status":206,"bytesSent":5}',
      { key: 'x.test/a?b', bytes: 5 },
    ],
    ['of a node, an error', '{"method":"GET","target":"/a","status":502}', 'skipped'],
    ['of a node, a POST', '{"method":"POST","target":"/a","status":200}', 'skipped'],
    ['common', common('GET /a?b=1 HTTP/1.1', 200, 5), { key: '/a?b=1', bytes: 5 }],
    [
      'combined',
      `${common('GET /a HTTP/2.0', 206, 5)} "https://ref" "Agent 1"`,
      { key: '/a', bytes: 5 },
    ],
    ['common, not modified', common('GET /a HTTP/1.1', 304, '-'), { key: '/a', bytes: 0 }],
    ['common, a POST', common('POST /a HTTP/1.1', 200, 5), 'skipped'],
    ['common, an error', common('GET /a HTTP/1.1', 404, 5), 'skipped'],
    ['CSV', '17,/a,5', { key: '/a', bytes: 5 }],
    ['CSV, commas in the key', '17,/a,b,5', { key: '/a,b', bytes: 5 }],
    ['CSV, its heading', 'time,key,size', 'skipped'],
    ['CSV, no size', '17,/a,', 'unreadable'],
    ['CSV, a negative size', '17,/a,-5', 'unreadable'],
    ['CSV, a size beyond all numbers', `17,/a,${'9'.repeat(30)}`, 'unreadable'],
    ['a blank line', '', 'skipped'],
    ['another text', 'Hello, world', 'unreadable'],
  ])('%s', (_title, line, expected) => {
    expect(readLogLine(line)).toEqual(expected);
  });
});

describe('replaying', () => {
  test.each<[string, string, 'lru' | 'fifo', number, number]>([
    ['everything once', 'abc', 'lru', 0, 0],
    ['the same again', 'aaaa', 'lru', 3 / 4, 3 / 4],
    ['one too many in turn', 'abcabc', 'lru', 0, 0],
    ['least recently used', 'abaca', 'lru', 2 / 5, 2 / 5],
    ['first in, first out', 'abaca', 'fifo', 1 / 5, 1 / 5],
  ])('%s', (_title, script, policy, objects, bytes) => {
    expect(replay(requests(script), [{ budgetBytes: 10_000, policy }])).toEqual({ objects, bytes });
  });

  test('bytes count by size', () => {
    const tiers = [{ budgetBytes: 100_000, policy: 'lru' as const }];
    expect(replay(requests('aabb', [1000, 3000]), tiers)).toEqual({ objects: 1 / 2, bytes: 1 / 2 });
    expect(replay(requests('aaab', [1000, 3000]), tiers).bytes).toBe(2000 / 6000);
  });

  test('a tier behind has what the first had to let go', () => {
    const tiers = [
      { budgetBytes: 10_000, policy: 'lru' as const },
      { budgetBytes: 100_000, policy: 's3-fifo' as const },
    ];
    expect(replay(requests('abcabc'), tiers).objects).toBe(1 / 2);
  });

  test('what is larger than a store takes is never there', () => {
    const tiers = [{ budgetBytes: 10_000, policy: 'lru' as const }];
    expect(replay(requests('aaa', [9000]), tiers).objects).toBe(0);
  });
});

test('bars', () => {
  expect(bar(0.5, 4, false)).toBe('██  ');
  expect(bar(0.53, 4, false)).toBe('██▏ ');
  expect(bar(0.5, 4, true)).toBe('##..');
  const written: string[] = [];
  const write = (text: string): unknown => written.push(text);
  progressBar({ write }, 10).add(5);
  expect(written).toEqual([]);
  progressBar({ isTTY: true, write }, 10).add(5);
  expect(written.join('')).toContain('50 %');
});

describe('canopy simulate', () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'canopy-simulate-'));
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));

  test('logs of several formats, packed or not, as JSON, for people and as a picture', async () => {
    await writeFile(join(dir, 'a.csv'), 'time,key,size\n1,/a,5000\n2,/a,0\nwhat is this\n');
    await writeFile(
      join(dir, 'b.log.gz'),
      gzipSync('::1 - - [10/Oct/2026:13:55:36 +0000] "GET /a HTTP/1.1" 200 5000\n'),
    );
    const svg = join(dir, 'curves.svg');
    const args = ['simulate', 'a.csv', 'b.log.gz', '--memory', '1m', '--disk', '2m', '--svg', svg];
    const json = await canopy([...args, '--json', '--policy', 'lru'], { cwd: dir });
    expect(json.stderr).toBe('');
    const found = JSON.parse(json.stdout) as { curves: { tier: string; points: object[] }[] };
    expect(found).toMatchObject({ requests: 3, objects: 1, footprintBytes: 5000, unreadable: 1 });
    expect(found.curves.map(({ tier }) => tier)).toEqual(['memory', 'disk']);
    for (const { points } of found.curves) {
      expect(points.at(-1)).toMatchObject({ objects: 2 / 3, bytes: 2 / 3 });
    }
    expect(await readFile(svg, 'utf8')).toMatch(/^<svg [^]*<polyline [^]*<\/svg>\n$/);
    const text = await canopy(args, { cwd: dir });
    expect(text.stdout).toContain('3 requests for 1 objects');
    expect(text.stdout).toMatch(/^1 MiB +#+\.+ +66\.7 %/m);
  });

  test.each<[string, readonly string[], RegExp]>([
    ['an unknown policy', ['a.csv', '--policy', 'lru,best'], /--policy.*'lru,best'.*s3-fifo/],
    ['an unknown policy of disk', ['a.csv', '--disk-policy', 'best'], /--disk-policy.*'best'/],
    ['a file that is not there', ['no.csv'], /Cannot read no\.csv: ENOENT.*\(invalid-input\)/],
    ['a packed file that is not there', ['no.gz'], /Cannot read no\.gz: ENOENT/],
    ['a packed file that is none', ['bad.gz'], /Cannot read bad\.gz: incorrect header/],
    ['a packed file that is cut off', ['cut.gz'], /Cannot read cut\.gz: unexpected end/],
    ['an empty log', ['empty.csv'], /No request to replay in empty\.csv/],
    ['a picture that cannot be saved', ['a.csv', '--svg', '/no/where'], /Cannot write \/no\/where/],
  ])('refuses %s in one line', async (_title, args, reason) => {
    await writeFile(join(dir, 'a.csv'), '1,/a,5\n');
    await writeFile(join(dir, 'bad.gz'), '1,/a,5\n');
    await writeFile(join(dir, 'cut.gz'), gzipSync('1,/a,5\n'.repeat(1000)).subarray(0, -20));
    await writeFile(join(dir, 'empty.csv'), '');
    const result = await canopy(['simulate', ...args], { cwd: dir });
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/^canopy: .*\n$/);
    expect(result.stderr).toMatch(reason);
  });
});
