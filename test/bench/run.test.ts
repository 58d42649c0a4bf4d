import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { interleaved, median } from '#bench/benchmark.ts';
import { withSection } from '#bench/report.ts';
import { footprintBytes, makeTrace, SHAPES } from '#bench/traces.ts';

const RUNNER = fileURLToPath(new URL('../../bench/run.ts', import.meta.url));
const run = (...args: readonly string[]) =>
  promisify(execFile)(process.execPath, [RUNNER, ...args]);

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'canopy-bench-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

test(
  'every benchmark runs, and the report names command, machine and traces',
  { timeout: 300_000 },
  async () => {
    const out = join(dir, 'results.md');
    const trace = join(dir, 'own.csv');
    await writeFile(trace, '1,/a,10\n2,/a,10\n');
    await run('--scale', '0.001', '--trace', trace, '--out', out);
    const report = await readFile(out, 'utf8');
    expect(report).toMatch(/`npm run bench -- hit-ratio --scale 0\.001`.* cores .*Node \d+/);
    expect(report).toContain('| own.csv | 10 % |');
    for (const name of [
      'compression',
      'policy-cost',
      'disk-store',
      'disk-http',
      'hits',
      'autocannon',
      'startup',
      'purge-fanout',
    ]) {
      expect(report).toContain(`## ${name}`);
    }
  },
);

test('an unknown benchmark is refused', async () => {
  await expect(run('fast')).rejects.toThrow(
    /expected names among compression, dns, hit-ratio, policy-cost, disk-store, disk-http/,
  );
});

test('a run replaces what the report said of the same benchmark, and nothing else', () => {
  const first = ['## a\n\nold\n', '## b\n\nkept\n'].reduce(withSection, '');
  expect(withSection(first, '## a\n\nnew\n')).toBe(first.replace('old', 'new'));
});

test('the same seed makes the same requests', () => {
  for (const shape of SHAPES) {
    const small = { ...shape, requests: 2000, objects: 500, scanObjects: 50 };
    expect(makeTrace(small, 7)).toEqual(makeTrace(small, 7));
    expect(makeTrace(small, 7).ids).not.toEqual(makeTrace(small, 8).ids);
    expect(footprintBytes(makeTrace(small))).toBeGreaterThan(0);
  }
});

test('contenders take turns, and the median is that', () => {
  const order: string[] = [];
  const measured = interleaved(['a', 'b'], 2, (name) => order.push(name));
  expect(order).toEqual(['a', 'b', 'a', 'b']);
  expect(measured.get('b')).toEqual([2, 4]);
  expect([median([3, 1, 2]), median([4, 1])]).toEqual([2, 2.5]);
});
