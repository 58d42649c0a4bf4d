import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { bodiesDir, openDiskStore } from '#origin/disk-store.ts';
import { UNLIMITED } from '#origin/indexed-store.ts';
import { bodyNames, quiet, temporaryDir, wallClock } from '#test/origin/support.ts';
import { originStoreContract } from './origin-store.ts';

originStoreContract('disk', async () => {
  const dir = await temporaryDir();
  return {
    open: ({ clock = wallClock(), limits, onDamaged }) =>
      openDiskStore({
        dir,
        clock,
        log: quiet,
        limitsOf: () => ({ ...UNLIMITED, ...limits }),
        onDamaged,
      }),
    bodies: () => bodyNames(dir),
    setBody: async (name, text) => {
      const file = join(bodiesDir(dir), name.slice(-2), name);
      await mkdir(dirname(file), { recursive: true });
      await (text === undefined ? rm(file) : writeFile(file, text));
    },
  };
});
