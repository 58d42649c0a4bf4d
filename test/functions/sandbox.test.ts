import { expect, test } from 'vitest';
import { functionSchema } from '#core/contract/functions.ts';
import type { FailureReason } from '#core/functions/failure.ts';
import { type Returned, Sandbox } from '#core/functions/sandbox.ts';

const MIB = 1024 * 1024;

async function calling(source: string, ...inputs: unknown[]): Promise<Returned> {
  // Generous: what is slow here is another test.
  const sandbox = await Sandbox.open(functionSchema.parse({ source, maxCpuMs: 500 }));
  try {
    return sandbox.call('onRequest', inputs);
  } finally {
    sandbox.close();
  }
}

test.each<[string, string, unknown]>([
  ['what it returns', '(a) => ({ ...a, b: 2 })', { a: 1, b: 2 }],
  ['nothing', '() => {}', undefined],
  ['what a promise comes to', 'async (a) => { await null; return [a]; }', [{ a: 1 }]],
  [
    'no part of the machine',
    '() => typeof process + typeof fetch + typeof setTimeout + typeof require',
    'undefined'.repeat(4),
  ],
])('a function gives %s', async (_, hook, expected) => {
  const { value } = await calling(`export const onRequest = ${hook}`, { a: 1 });
  expect(value).toEqual(expected);
});

test('a function keeps its variables from call to call, and no other sees them', async () => {
  const settings = functionSchema.parse({
    source: 'let n = 0; export const onRequest = () => { globalThis.x = 1; return ++n; }',
  });
  const [one, other] = [await Sandbox.open(settings), await Sandbox.open(settings)];
  one.call('onRequest', []);
  expect(one.call('onRequest', []).value).toBe(2);
  expect(other.call('onRequest', []).value).toBe(1);
  one.close();
  other.close();
});

test('what it writes to its console comes along, so many lines of it', async () => {
  const { lines } = await calling(
    'export const onRequest = () => { for (let i = 0; i < 1e4; i++) console.log("line", { i }); }',
  );
  expect(lines.length).toBe(100);
  expect(lines[1]).toBe('line {"i":1}');
});

test.each<[string, string, FailureReason, RegExp]>([
  ['throws', 'export const onRequest = () => {\n  null.x; }', 'threw', /TypeError.*function\.js:2/],
  ['throws no error', 'export const onRequest = () => { throw 5 }', 'threw', /5/],
  [
    'rejects',
    'export const onRequest = async () => { throw new RangeError("no") }',
    'threw',
    /RangeError: no/,
  ],
  ['never ends', 'export const onRequest = () => { for (;;); }', 'cpu', /longer/],
  [
    'never ends behind a promise',
    'export const onRequest = async () => { await null; for (;;); }',
    'cpu',
    /longer/,
  ],
  [
    'never ends where it is turned to text',
    'export const onRequest = () => ({ toJSON() { for (;;); } })',
    'cpu',
    /longer/,
  ],
  ['waits for ever', 'export const onRequest = () => new Promise(() => {})', 'result', /waits/],
  [
    'takes all memory',
    'const all = []; export const onRequest = () => { for (;;) all.push(new Uint8Array(1e6)); }',
    'memory',
    /memory/,
  ],
  [
    'calls itself without end',
    'const f = () => f() + 1; export const onRequest = f',
    'threw',
    /stack overflow/,
  ],
  ['is no JavaScript', 'export const onRequest = (', 'threw', /SyntaxError.*function\.js:1/],
  ['never ends while it is loaded', 'for (;;);', 'cpu', /longer/],
  ['exports no hook', 'export const x = 1', 'threw', /onRequest, onResponse/],
  ['imports', 'import fs from "node:fs"; export const onRequest = () => fs', 'threw', /node:fs/],
  ['returns what JSON cannot say', 'export const onRequest = () => 10n', 'threw', /BigInt/],
])('a function that %s fails as such', async (_, source, reason, message) => {
  await expect(calling(source)).rejects.toMatchObject({
    reason,
    message: expect.stringMatching(message) as string,
  });
});

test('a function has the memory that it may have, and gives it back', async () => {
  const source = `export const onRequest = (mib) => {
    const all = [];
    try { for (let i = 0; i < mib; i++) all.push(new Uint8Array(1048576).fill(1)); } catch { return 'no'; }
    return 'yes';
  }`;
  const sandbox = await Sandbox.open(
    functionSchema.parse({ source, maxCpuMs: 500, maxMemoryBytes: 64 * MIB }),
  );
  expect(sandbox.call('onRequest', [40]).value).toBe('yes');
  expect(sandbox.call('onRequest', [40]).value).toBe('yes');
  expect(sandbox.call('onRequest', [80]).value).toBe('no');
  sandbox.close();
});
