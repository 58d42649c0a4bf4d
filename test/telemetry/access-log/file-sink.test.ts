import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FileSink } from '#core/telemetry/access-log/file-sink.ts';
import { type RotationOptions, rotatedFiles } from '#core/telemetry/access-log/rotation.ts';
import { LogCounts } from '#core/telemetry/access-log/sink.ts';
import { FakeClock } from '#test/scenario/kit/clock.ts';

let dir: string;
let path: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'canopy-access-log-'));
  path = join(dir, 'access.log');
});
afterEach(() => rm(dir, { recursive: true, force: true }));

async function opened(rotation: Partial<RotationOptions> = {}, clock = new FakeClock()) {
  const counts = new LogCounts();
  const said: string[] = [];
  const log = {
    warn: (_: object, message: string) => void said.push(message),
    info: (_: object, message: string) => void said.push(message),
  };
  const sink = await FileSink.open({
    path,
    rotation: { maxBytes: undefined, maxAgeMs: undefined, keep: 100, compress: false, ...rotation },
    clock,
    counts,
    log,
  });
  const write = (...lines: readonly string[]): Promise<void> =>
    sink.write(Buffer.from(lines.map((line) => `${line}\n`).join('')), lines.length);
  return { sink, counts, said, write, clock };
}

const text = (file: string): Promise<string> => readFile(file, 'utf8');

/** All lines that are in the file and those it has left, in their order. */
async function everyLine(): Promise<string[]> {
  const files = [...(await rotatedFiles(path)), path];
  const contents = await Promise.all(
    files.map(async (file) =>
      file.endsWith('.gz') ? gunzipSync(await readFile(file)).toString() : text(file),
    ),
  );
  return contents.join('').trimEnd().split('\n');
}

test('goes on where it was, for its owner and readers of logs only', async () => {
  await writeFile(path, 'before\n');
  const { sink, write, counts } = await opened();
  await write('a', 'b');
  await write('c');
  await sink.close();
  expect(await text(path)).toBe('before\na\nb\nc\n');
  expect(counts).toMatchObject({ records: 3, bytes: 6, failed: 0 });
  await rm(path);
  await (await opened()).sink.close();
  expect((await stat(path)).mode & 0o007).toBe(0);
});

test('says what is wrong before anything is served', async () => {
  path = join(dir, 'not there', 'access.log');
  await expect(opened()).rejects.toMatchObject({
    code: 'invalid-input',
    message: expect.stringMatching(/^Cannot write the access log .*not there.*: ENOENT/) as unknown,
  });
  path = dir;
  await expect(opened()).rejects.toThrow(/EISDIR/);
});

test.each([false, true])('by size: no line is lost or cut, packed: %o', async (compress) => {
  const { sink, write, clock } = await opened({ maxBytes: 100, compress });
  const written = Array.from({ length: 100 }, (_, i) => `line ${i} ${'x'.repeat(i % 40)}`);
  for (const line of written) {
    await write(line);
    clock.advance('1ms');
  }
  await sink.close();
  expect(await everyLine()).toEqual(written);
  const old = await rotatedFiles(path);
  expect(old.length).toBeGreaterThan(20);
  expect(old.every((file) => file.endsWith('.gz') === compress)).toBe(true);
  expect(old[0]).toMatch(/access\.log-20260101T000000\.\d{3}Z/);
  for (const file of [path, ...(compress ? [] : old)]) {
    expect((await stat(file)).size).toBeLessThanOrEqual(100);
  }
});

test('two in one millisecond do not take the place of one another', async () => {
  const { sink, write } = await opened({ maxBytes: 1 });
  for (const line of ['a', 'b', 'c', 'd']) await write(line);
  await sink.close();
  expect(await everyLine()).toEqual(['a', 'b', 'c', 'd']);
  expect(await rotatedFiles(path)).toHaveLength(3);
});

test('by age, counted from when it was begun, also by another process', async () => {
  const { sink, write, clock } = await opened({ maxAgeMs: 60_000 });
  await write('a');
  clock.advance('59s');
  await write('b');
  clock.advance('1s');
  await write('c');
  await sink.close();
  expect(await text(path)).toBe('c\n');
  const later = await opened({ maxAgeMs: 60_000 }, laterClock());
  await later.write('d');
  await later.sink.close();
  expect(await text(path)).toBe('d\n');
  expect(await everyLine()).toEqual(['a', 'b', 'c', 'd']);
});

/** Well after the files were made, which the system's clock says. */
function laterClock(): FakeClock {
  const clock = new FakeClock();
  clock.advance(`${Math.max(0, Date.now() - clock.now()) + 120_000}ms`);
  return clock;
}

test('keeps so many, and touches nothing else', async () => {
  await writeFile(join(dir, 'access.log-of-mine'), 'x');
  await writeFile(join(dir, 'access.log-20200101T000000.000Z.gz'), 'x');
  // Of a process that was killed.
  await writeFile(join(dir, 'access.log-20200102T000000.000Z.gz.tmp'), 'x');
  const { sink, write } = await opened({ maxBytes: 1, keep: 2 });
  for (const line of ['a', 'b', 'c', 'd', 'e']) await write(line);
  await sink.close();
  expect(await everyLine()).toEqual(['c', 'd', 'e']);
  expect(await readdir(dir)).toContain('access.log-of-mine');
  expect(await readdir(dir)).toHaveLength(4);
});

test('a file that was moved away is written on until it is opened anew', async () => {
  const { sink, write, counts } = await opened();
  await write('a');
  await rename(path, `${path}.1`);
  await write('b');
  await sink.reopen();
  await write('c');
  await sink.close();
  expect(await text(`${path}.1`)).toBe('a\nb\n');
  expect(await text(path)).toBe('c\n');
  expect(counts.records).toBe(3);
});

test('one that cannot be opened anew is written on', async () => {
  const { sink, write, said, counts } = await opened();
  await write('a');
  await rename(dir, `${dir}-moved`);
  await sink.reopen();
  expect(said).toEqual(['The access log cannot be opened anew']);
  await write('b');
  await rename(`${dir}-moved`, dir);
  await sink.close();
  expect(await text(path)).toBe('a\nb\n');
  expect(counts.records).toBe(2);
});

test('one that cannot be moved aside is written on', async () => {
  const { sink, write, said } = await opened({ maxBytes: 1 });
  await write('a');
  // Permissions would not stop root.
  await rename(dir, `${dir}-moved`);
  await write('b');
  await rename(`${dir}-moved`, dir);
  await sink.close();
  expect(said).toEqual(['The access log cannot be moved aside']);
  expect(await text(path)).toBe('a\nb\n');
});

const run = (...command: readonly [string, ...string[]]): boolean =>
  spawnSync(command[0], command.slice(1)).status === 0;

const lines = (name: string): string[] =>
  Array.from({ length: 30 }, (_, i) => `${name} ${i} ${'x'.repeat(1000)}`);

describe('on a full disk', () => {
  let small: string;
  beforeEach(async (context) => {
    small = await mkdtemp(join(tmpdir(), 'canopy-small-'));
    if (!run('mount', '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', small)) {
      context.skip('Only root may mount');
    }
    path = join(small, 'access.log');
  });
  afterEach(async () => {
    run('umount', '--lazy', small);
    await rm(small, { recursive: true, force: true });
  });

  test('lines are counted as lost, none is cut, and the next are written when there is room', async () => {
    const { sink, write, counts, said } = await opened();
    await write(...lines('a'));
    await write(...lines('b'));
    await write(...lines('c'));
    expect(counts).toMatchObject({ records: 60, failed: 30 });
    await write(...lines('c'));
    expect(counts.failed).toBe(60);
    expect(await text(path)).toBe(`${[...lines('a'), ...lines('b')].join('\n')}\n`);
    expect(said).toEqual(['The access log fails']);
    await rename(path, join(dir, 'elsewhere')).catch(async () => {
      // Another file system: copied, as anything that tidies up would.
      await writeFile(join(dir, 'elsewhere'), await readFile(path));
      await rm(path);
    });
    await sink.reopen();
    await write(...lines('d'));
    expect(said).toEqual(['The access log fails', 'The access log is written again']);
    expect(await text(path)).toBe(`${lines('d').join('\n')}\n`);
    expect(counts).toMatchObject({ records: 90, failed: 60 });
    await sink.close();
  });
});
