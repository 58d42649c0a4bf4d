import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const MIB = 1024 * 1024;
const BUDGET_BYTES = 64 * MIB;
/** Beyond the budget while garbage is collected every 16 MiB, that among it. Measured: 31 MiB. */
const OVERHEAD_BYTES = 48 * MIB;
/**
 * Beyond the budget with the garbage that V8 lets lie, which depends on what else the machine does.
 * Measured: 135 to 245 MiB.
 */
const GARBAGE_BYTES = 384 * MIB;
const path = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
const run = (...args: readonly string[]) => promisify(execFile)(process.execPath, args);

test.each([
  { kind: 'small', meanBytes: 200, puts: 40_000 },
  { kind: 'middling', meanBytes: 30_000, puts: 4000 },
  { kind: 'large', meanBytes: 1_000_000, puts: 150 },
])(
  'memory taken for $kind objects of random sizes is what the budget says',
  { timeout: 180_000 },
  async ({ meanBytes, puts }) => {
    const args = ['--expose-gc', path('./filling-store.ts')];
    const sizes = [BUDGET_BYTES, meanBytes, puts].map(String);
    const { stdout } = await run(...args, ...sizes);
    const { keptBytes, grownBytes, mostBytes } = JSON.parse(stdout) as Record<string, number>;
    expect(mostBytes).toBeGreaterThan(0.9 * BUDGET_BYTES);
    expect(mostBytes).toBeLessThanOrEqual(BUDGET_BYTES);
    expect(keptBytes).toBeLessThanOrEqual(BUDGET_BYTES + OVERHEAD_BYTES);
    expect(grownBytes).toBeLessThanOrEqual(BUDGET_BYTES + GARBAGE_BYTES);
  },
);

test('a lookup allocates nothing', async () => {
  // A young generation so large that no collection hides what was allocated.
  const flags = ['--expose-gc', '--max-semi-space-size=256', '--min-semi-space-size=256'];
  const { stdout } = await run(...flags, path('./looking-up.ts'));
  expect(Number(stdout)).toBeLessThan(1);
});
