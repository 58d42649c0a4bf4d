import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const MIB = 1024 * 1024;
const BUDGET_BYTES = 64 * MIB;
/**
 * Beyond the budget: what is on its way, and the garbage that V8 lets lie when memory is not short.
 * Measured: 140 MiB.
 */
const SLACK_BYTES = 192 * MIB;
const path = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
const run = (...args: readonly string[]) => promisify(execFile)(process.execPath, args);

test.each([
  { kind: 'small', meanBytes: 200, puts: 80_000 },
  { kind: 'middling', meanBytes: 30_000, puts: 8000 },
  { kind: 'large', meanBytes: 1_000_000, puts: 300 },
])(
  'memory taken for $kind objects of random sizes is what the budget says',
  { timeout: 180_000 },
  async ({ meanBytes, puts }) => {
    const args = [BUDGET_BYTES, meanBytes, puts].map(String);
    const { stdout } = await run(path('./filling-store.ts'), ...args);
    const { grownBytes, mostBytes } = JSON.parse(stdout) as Record<string, number>;
    expect(mostBytes).toBeGreaterThan(0.9 * BUDGET_BYTES);
    expect(mostBytes).toBeLessThanOrEqual(BUDGET_BYTES);
    expect(grownBytes).toBeLessThanOrEqual(BUDGET_BYTES + SLACK_BYTES);
  },
);

test('a lookup allocates nothing', async () => {
  // A young generation so large that no collection hides what was allocated.
  const flags = ['--expose-gc', '--max-semi-space-size=256', '--min-semi-space-size=256'];
  const { stdout } = await run(...flags, path('./looking-up.ts'));
  expect(Number(stdout)).toBeLessThan(1);
});
