import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { resultText } from '#cli/rules/result-text.ts';
import { testRequest, type Trial } from '#cli/rules/test-request.ts';
import { siteSchema } from '#core/contract/site.ts';
import { canopy } from '#test/e2e/canopy.ts';

const RULES = [
  {
    name: 'office only',
    match: { path: '/admin/**', not: { address: ['192.0.2.0/24'] } },
    deny: true,
  },
  { name: 'moved', redirect: { from: '/old/**', to: '/new/${1}' } },
  {
    name: 'api',
    match: { path: '/v1/**' },
    rewrite: { from: '/v1/**', to: '/api/${1}' },
    requestHeaders: { remove: ['x-debug'], set: { 'X-Country': '${client.country}' } },
  },
  { name: 'beta', match: { cookies: { beta: 'yes' } }, origin: { name: 'canary' } },
  { name: 'pages', match: { contentType: ['text/html'] }, responseHeaders: { set: { A: 'b' } } },
  {
    name: 'api cache',
    match: { path: '/api/**', status: [200] },
    cache: { minFreshSeconds: 3600 },
  },
  { name: 'sorry', match: { status: ['400-599'] }, errorPage: { body: 'sorry' } },
];
const SITE = {
  name: 'shop',
  hosts: ['shop.example'],
  origin: { kind: 'pull', servers: [{ url: 'http://127.0.0.1:1' }] },
  origins: { canary: { kind: 'pull', servers: [{ url: 'http://127.0.0.1:2' }] } },
  rules: RULES,
};

const tried = (target: string, trial: Partial<Trial> = {}, site: object = SITE) =>
  testRequest(siteSchema.parse(site), {
    url: new URL(target, 'https://shop.example'),
    method: 'GET',
    fields: [],
    client: '192.0.2.1',
    places: { countryOf: () => 'DE', asnOf: () => undefined },
    status: 200,
    contentType: undefined,
    ...trial,
  });
const matching = ({ rules }: ReturnType<typeof testRequest>) =>
  rules.filter(({ matches }) => matches).map(({ name }) => name);

test('it tells what became of a request, and by which rules', () => {
  const result = tried('/v1/a?x', { fields: ['X-Debug', '1', 'Cookie', 'beta=yes'] });
  expect(matching(result)).toEqual(['api', 'beta', 'api cache']);
  expect(result).toMatchObject({
    site: 'shop',
    request: {
      from: '/v1/a?x',
      to: '/api/a?x',
      origin: 'canary',
      removed: ['X-Debug: 1'],
      added: ['X-Country: DE'],
    },
    answer: { by: 'site', status: 200, code: null, removed: [] },
    cache: { minFreshSeconds: { from: 0, to: 3600 } },
  });
  expect(result.rules.find(({ name }) => name === 'moved')?.unmet).toBe('redirect.from');
  expect(resultText(result)).toBe(`RULE         MATCHES  BUT FOR        ACTIONS
office only  no       path           deny
moved        no       redirect.from  redirect
api          yes      -              requestHeaders rewrite
beta         yes      -              origin
pages        no       contentType    responseHeaders
api cache    yes      -              cache
sorry        no       status         errorPage

Request: /v1/a?x -> /api/a?x
  - X-Debug: 1
  + X-Country: DE
Origin: canary
Answer of the site: 200 application/octet-stream
Cache: minFreshSeconds 3600 (0)`);
});

test('it tells why a request comes no further', () => {
  const moved = tried('/old/a');
  expect(matching(moved)).toEqual(['moved']);
  expect(moved).toMatchObject({
    request: null,
    answer: { by: 'redirect', status: 302, added: ['Location: /new/a'] },
  });
  const refused = tried('/admin/', { client: '198.51.100.1' });
  expect(matching(refused)).toEqual(['office only', 'sorry']);
  expect(refused).toMatchObject({
    request: null,
    answer: { by: 'refusal', status: 403, code: 'denied', hasErrorPage: true },
  });
  expect(resultText(refused)).toContain('Refused: 403 denied application/problem+json, under an');
});

test('it takes the answer as it is told to', () => {
  expect(tried('/').answer.added).toEqual(['A: b']);
  expect(tried('/a.js').answer.added).toEqual([]);
  expect(tried('/', { status: 503 }).answer.hasErrorPage).toBe(false);
  expect(matching(tried('/', { status: 404, contentType: 'image/png' }))).toEqual(['sorry']);
});

test('a site without rules has the request as it is', () => {
  const result = tried('/a', {}, { ...SITE, rules: [] });
  expect(result).toMatchObject({ rules: [], request: { from: '/a', to: '/a', added: [] } });
  expect(resultText(result)).toContain('Site shop has no rules.');
});

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'canopy-rules-'));
  await writeFile(join(dir, 'site.json'), JSON.stringify(SITE));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

test.each<[string, string[], number, string]>([
  ['fields, as JSON', ['https://shop.example/', '--json', '-H', 'Cookie: beta=yes'], 0, '"canary"'],
  ['another host', ['https://else.example/'], 1, '(unknown-host)'],
  ['no field', ['https://shop.example/', '-H', 'beta'], 1, 'Expected "Name: value"'],
])('canopy rules test with %s', async (_, args, code, text) => {
  const file = join(dir, 'site.json');
  const finished = await canopy(['rules', 'test', ...args, '--file', file]);
  expect(finished.code).toBe(code);
  expect(finished.stdout + finished.stderr).toContain(text);
});
