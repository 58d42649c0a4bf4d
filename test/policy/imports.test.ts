import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';

// The one-way imports of the design, as the lint rules really see them.

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
let dir: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'canopy-lint-'));
  await copyFile(join(ROOT, '.oxlintrc.json'), join(dir, '.oxlintrc.json'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function lint(file: string, code: string): Promise<string> {
  await mkdir(dirname(join(dir, file)), { recursive: true });
  await writeFile(join(dir, file), code);
  return new Promise((resolve) => {
    execFile(join(ROOT, 'node_modules/.bin/oxlint'), [file], { cwd: dir }, (_, stdout) => {
      resolve(stdout);
    });
  });
}

const using = (module: string): string => `import { x } from '${module}';\nexport const y = [x];\n`;

test.each([
  ['core/tree/a.ts', '#edge/request.ts'],
  ['core/tree/b.ts', '../../control-plane/server.ts'],
  ['core/node/c.ts', '#cli/main.ts'],
  ['core/http/d.ts', 'node:net'],
  ['core/http/e.ts', '#core/clock.ts'],
  ['core/cache/policy/f.ts', '#core/cache/memory.ts'],
  ['core/cache/policy/g.ts', 'undici'],
  ['edge/h.ts', '#control-plane/server.ts'],
  ['edge/i.ts', '#mid-tier/request.ts'],
  ['mid-tier/j.ts', '../control-plane/server.ts'],
  ['origin/k.ts', '#control-plane/server.ts'],
  ['control-plane/l.ts', '#edge/request.ts'],
  ['control-plane/routing/engine/w.ts', 'node:dgram'],
  ['control-plane/routing/engine/x.ts', '../geography/locate.ts'],
  ['edge/y.ts', '#control-plane/routing/engine/decide.ts'],
  ['core/cache/eviction/r.ts', 'node:fs'],
  ['core/cache/eviction/s.ts', '#core/cache/memory.ts'],
  ['core/cache/t.ts', '#bench/traces.ts'],
  ['cli/u.ts', '../bench/traces.ts'],
  ['client/z.ts', 'node:fs'],
  ['client/za.ts', '#core/errors.ts'],
  ['client/zb.ts', '../core/errors.ts'],
])('%s may not import %s', async (file, module) => {
  expect(await lint(file, using(module))).toContain('no-restricted-imports');
});

test.each([
  ['edge/m.ts', '#core/http/fields.ts'],
  ['control-plane/n.ts', '#core/contract/site.ts'],
  ['core/cache/o.ts', '#core/cache/policy/decide.ts'],
  ['cli/p.ts', '#edge/process.ts'],
  ['bench/v.ts', '#cli/simulate/requests.ts'],
])('%s may import %s', async (file, module) => {
  expect(await lint(file, using(module))).not.toContain('no-restricted-imports');
});

test('policy may not read the clock', async () => {
  const code = 'export const y = Date.now();\n';
  expect(await lint('core/cache/policy/q.ts', code)).toContain('no-restricted-globals');
});
