// Makes dist/, what is published: every module as JavaScript, every other file as it is.
import { execFile } from 'node:child_process';
import { cp, glob, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const DIST = join(ROOT, 'dist');
const FOLDERS = ['core', 'edge', 'mid-tier', 'origin', 'control-plane', 'cli', 'client'];

/** Published beside dist/, not in it. */
const LAUNCHER = 'cli/canopy.js';

/** Of this only what vite has made is published. */
const DASHBOARD = 'control-plane/dashboard/';

/** What stands before the specifier of an import, or of a module that is started as a thread or process. */
const SPECIFIER = /(\b(?:from|import|import\(|new URL\()\s*)(['"])([.#][^'"]+)\.ts\2/g;

/** A module named in any other way would not be found in dist/. */
const LEFT_OVER = /['"`][.#][^'"`\n]*\.ts['"`]/;

await rm(DIST, { recursive: true, force: true });
let modules = 0;
let assets = 0;
for (const folder of FOLDERS) {
  for await (const entry of glob(`${folder}/**`, { cwd: ROOT, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name).slice(ROOT.length);
    if (path === LAUNCHER) continue;
    if (path.startsWith(DASHBOARD) && !path.startsWith(`${DASHBOARD}built/`)) continue;
    const target = join(DIST, path);
    await mkdir(dirname(target), { recursive: true });
    if (path.endsWith('.ts')) {
      const source = await readFile(join(ROOT, path), 'utf8');
      await writeFile(target.replace(/\.ts$/, '.js'), toJavaScript(source, path));
      modules++;
    } else {
      await cp(join(ROOT, path), target);
      assets++;
    }
  }
}
// What others write programs with has types.
const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
const project = ['--project', join(ROOT, 'client'), '--outDir', join(DIST, 'client')];
await promisify(execFile)(process.execPath, [tsc, ...project]);
const { imports } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as {
  imports: unknown;
};
await writeFile(
  join(DIST, 'package.json'),
  `${JSON.stringify({ type: 'module', imports }, null, 2)}\n`,
);
console.log(`Built ${modules} modules and ${assets} other files into dist/`);

function toJavaScript(source: string, path: string): string {
  const script = stripTypeScriptTypes(source).replaceAll(SPECIFIER, '$1$2$3.js$2');
  const leftOver = LEFT_OVER.exec(script);
  if (leftOver === null) return script;
  throw new Error(`${path}: ${leftOver[0]} is neither imported nor the argument of new URL`);
}
