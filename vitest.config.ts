import { existsSync, statfsSync } from 'node:fs';
import { defineConfig } from 'vitest/config';

/** Scenarios open a disk store for each node: in memory that takes half the time. */
function scratchDir(): { TMPDIR?: string } {
  const dir = '/dev/shm';
  if (!existsSync(dir)) return {};
  const { bavail, bsize } = statfsSync(dir);
  return bavail * bsize > 1024 ** 3 ? { TMPDIR: dir } : {};
}

export default defineConfig({
  test: {
    exclude: ['node_modules', 'dist', '.canopy'],
    // They end what hangs, however crowded the machine; no test asserts how long something takes.
    testTimeout: 90_000,
    hookTimeout: 90_000,
    expect: { poll: { timeout: 60_000 } },
    projects: [
      { extends: true, test: { name: 'canopy', include: ['**/*.test.ts'] } },
      {
        extends: true,
        test: {
          name: 'scenarios-on-disk',
          include: ['test/scenario/**/*.test.ts'],
          env: { CANOPY_SCENARIO_STORE: 'disk', ...scratchDir() },
        },
      },
    ],
  },
});
