import { existsSync } from 'node:fs';
import { glob, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

// What pages point to is there.

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const textOf = (path: string): Promise<string> => readFile(join(ROOT, path), 'utf8');

/** Without code, in which nothing is a link or a heading. */
const prose = (text: string): string => text.replaceAll(/^```[^]*?^```/gm, '');

/** The anchors of a page's headings, as GitHub makes them. */
function anchorsOf(text: string): ReadonlySet<string> {
  const seen = new Map<string, number>();
  const anchors = [...prose(text).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => {
    const words = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase();
    const anchor = words.replaceAll(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-');
    const count = seen.get(anchor) ?? 0;
    seen.set(anchor, count + 1);
    return count === 0 ? anchor : `${anchor}-${count}`;
  });
  return new Set(anchors);
}

/** The links of a page that lead nowhere. */
async function broken(page: string): Promise<string[]> {
  const found: string[] = [];
  for (const [, link = ''] of prose(await textOf(page)).matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^[a-z]+:/.test(link)) continue;
    const [path = '', anchor] = link.split('#');
    const target = path === '' ? page : join(dirname(page), path);
    const isThere = existsSync(join(ROOT, target));
    const isAnchor = anchor !== undefined && isThere && target.endsWith('.md');
    if (!isThere || (isAnchor && !anchorsOf(await textOf(target)).has(anchor))) found.push(link);
  }
  return found;
}

const pages: string[] = [];
for await (const page of glob(['*.md', 'docs/*.md'], { cwd: ROOT })) pages.push(page);

test.each(pages)('%s points to what is there', async (page) => {
  expect(await broken(page)).toEqual([]);
});

test('the index names every page', async () => {
  const index = await textOf('docs/README.md');
  const names = pages.filter((page) => page.startsWith('docs/')).map((page) => basename(page));
  const left = names.filter((name) => name !== 'README.md' && !index.includes(`(${name})`));
  expect(left).toEqual([]);
});

describe('promises.md', async () => {
  const text = await textOf('docs/promises.md');
  const files = [...text.matchAll(/`(test\/[^`]+)`/g)].map(([, file]) => file ?? '');
  const benchmarks = [...text.matchAll(/npm run bench -- ([a-z-]+)/g)].map(
    ([, name]) => name ?? '',
  );

  test.each(files)('%s is there', (file) => expect(existsSync(join(ROOT, file))).toBe(true));

  test.each(benchmarks)('there is a benchmark %s', async (name) => {
    expect(await textOf('bench/run.ts')).toMatch(new RegExp(`['/]${name}(\\.ts)?'`));
  });
});
