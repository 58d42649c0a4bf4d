import { existsSync, statfsSync } from 'node:fs';
import { defineConfig } from 'vitest/config';

/** Tests that put a load on real processes: beside others they would measure those. */
const ALONE = ['bench', 'chaos', 'conformance', 'disk', 'e2e', 'load', 'upgrade'].map(
  (folder) => `test/${folder}/**/*.test.ts`,
);
const EXCLUDED = ['node_modules', 'dist', '.canopy'];

/** Scenarios open a disk store for each node: in memory that takes half the time. */
function scratchDir(): { TMPDIR?: string } {
  const dir = '/dev/shm';
  if (!existsSync(dir)) return {};
  const { bavail, bsize } = statfsSync(dir);
  return bavail * bsize > 1024 ** 3 ? { TMPDIR: dir } : {};
}

/** Scenarios in which what is on disk and the hit lane could come to differ: these run with both. */
const LANE_ON_DISK = [
  'compression',
  'disk-damage',
  'disk-threads',
  'fence',
  'purges',
  'slices',
].map((name) => `test/scenario/${name}.test.ts`);

export default defineConfig({
  test: {
    exclude: EXCLUDED,
    // They end what hangs, however crowded the machine; no test asserts how long something takes.
    testTimeout: 90_000,
    hookTimeout: 90_000,
    expect: { poll: { timeout: 60_000 } },
    projects: [
      {
        extends: true,
        test: {
          name: 'side-by-side',
          include: ['**/*.test.ts'],
          exclude: [...EXCLUDED, ...ALONE],
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'scenarios-on-disk',
          include: ['test/scenario/**/*.test.ts'],
          env: { CANOPY_SCENARIO_STORE: 'disk', CANOPY_SCENARIO_LANE: 'off', ...scratchDir() },
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'lane-on-disk',
          include: LANE_ON_DISK,
          env: { CANOPY_SCENARIO_STORE: 'disk', ...scratchDir() },
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: { name: 'alone', include: ALONE, maxWorkers: 1, sequence: { groupOrder: 1 } },
      },
    ],
  },
});
