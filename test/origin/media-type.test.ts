import { expect, test } from 'vitest';
import { mediaTypeOf } from '#core/http/media-type.ts';
import { sampleFiles } from '#origin/sample.ts';

test.each<[path: string, type: string]>([
  ['/index.html', 'text/html; charset=utf-8'],
  ['/a.b/style.CSS', 'text/css; charset=utf-8'],
  ['/app.js', 'text/javascript; charset=utf-8'],
  ['/data.json', 'application/json; charset=utf-8'],
  ['/logo.svg', 'image/svg+xml'],
  ['/photo.jpg', 'image/jpeg'],
  ['/film.mp4', 'video/mp4'],
  ['/html', 'application/octet-stream'],
  ['/text/html', 'application/octet-stream'],
  ['/', 'application/octet-stream'],
  ['/a.unknown-ending', 'application/octet-stream'],
])('mediaTypeOf %s is %s', (path, type) => {
  expect(mediaTypeOf(path)).toBe(type);
});

test('every link of the sample site leads to a file of it', async () => {
  const files = await sampleFiles();
  const page = files.find(({ path }) => path === '/index.html')?.content.toString() ?? '';
  const links = [...page.matchAll(/(?:href|src)="([^"]*)"/g)].map(([, link]) => link);
  expect(links.length).toBeGreaterThan(2);
  expect(files.map(({ path }) => path)).toEqual(expect.arrayContaining(links));
  expect(files.every(({ path }) => mediaTypeOf(path) !== 'application/octet-stream')).toBe(true);
});
