// Makes control-plane/dashboard/built/, which the control plane serves, where it is older than its sources.
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { glob, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../control-plane/dashboard/', import.meta.url));
const LOCK = fileURLToPath(new URL('../package-lock.json', import.meta.url));
const BUILT = join(ROOT, 'built');
const STAMP = join(BUILT, 'sources.sha256');

const wanted = await digestOfSources();
const there = existsSync(STAMP) ? await readFile(STAMP, 'utf8') : '';
if (there !== wanted) {
  const { build } = await import('vite');
  await build({
    root: ROOT,
    base: './',
    logLevel: 'warn',
    configFile: false,
    build: { outDir: BUILT, emptyOutDir: true, assetsInlineLimit: 0, modulePreload: false },
  });
  await writeFile(STAMP, wanted);
  console.log('Built the dashboard');
}

async function digestOfSources(): Promise<string> {
  const paths = await Array.fromAsync(glob('**/*.*', { cwd: ROOT, exclude: ['built/**'] }));
  const hash = createHash('sha256');
  for (const path of [...paths.toSorted().map((name) => join(ROOT, name)), LOCK]) {
    hash.update(path.slice(ROOT.length)).update(await readFile(path));
  }
  return hash.digest('hex');
}
