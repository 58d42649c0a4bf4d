import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { curl } from '../canopy.ts';
import { Dashboard } from './kit.ts';

let dashboard: Dashboard;
let origin: Server;
let dir: string;
beforeAll(async () => {
  origin = createServer((_, outgoing) => {
    outgoing.setHeader('Cache-Control', 'max-age=600').end('film\n');
  });
  origin.listen(0, '127.0.0.1');
  await once(origin, 'listening');
  dir = await mkdtemp(join(tmpdir(), 'canopy-dashboard-site-'));
  dashboard = await Dashboard.start();
}, 120_000);
afterAll(async () => {
  await dashboard.close();
  origin.closeAllConnections();
  origin.close();
  await rm(dir, { recursive: true, force: true });
});

const originUrl = (): string => `http://127.0.0.1:${(origin.address() as AddressInfo).port}`;
const edgeUrl = (): string => dashboard.up.ready.edges[0]?.url ?? '';
const ask = (path: string) => curl('-H', 'Host: film.example', `${edgeUrl()}${path}`);

describe('the dashboard', () => {
  test('guides from an origin server to the first hit, explains it, and purges it', async () => {
    const page = await dashboard.open('first-site');
    await page.getByLabel('Name').fill('film');
    await page.getByLabel('Host').fill('film.example');
    await page.getByLabel('Origin server').fill(originUrl());
    await page.getByRole('button', { name: 'Create the site' }).click();
    await page.getByText('Ask an edge, twice').waitFor();
    await expect.poll(async () => (await ask('/a.mp4?utm=1')).status).toBe(200);
    expect((await ask('/a.mp4?utm=1')).cacheStatus).toContain('hit');

    await page.goto(`${dashboard.url}#/explain`);
    await page.getByLabel('URL').fill('http://film.example/a.mp4?utm=2');
    await page.getByRole('button', { name: 'Explain' }).click();
    await page.getByText('Nearest stored').first().waitFor();
    await page.getByText('asked 2').first().waitFor();
    await dashboard.requireAccessible(page);
    await dashboard.picture(page, 'explained-wide-light');

    await page.goto(`${dashboard.url}#/purges`);
    await page.getByLabel('What').selectOption('site');
    expect(await page.getByLabel('How').inputValue()).toBe('soft');
    await page.getByLabel('What').selectOption('urls');
    expect(await page.getByLabel('How').inputValue()).toBe('hard');
    await page.getByLabel('URLs').fill('http://film.example/a.mp4?utm=1');
    await page.getByRole('button', { name: 'Preview' }).click();
    await page.getByRole('dialog', { name: 'Purge this?' }).getByText('Stored copies').waitFor();
    await dashboard.picture(page, 'purge-preview-wide-light');
    await page.getByRole('button', { name: 'Purge', exact: true }).click();
    await page.getByText('complete', { exact: false }).first().waitFor();
    await expect.poll(() => page.getByText('acknowledged').count()).toBeGreaterThanOrEqual(5);
    await dashboard.picture(page, 'purge-wide-light');
    await dashboard.requireAccessible(page);
    expect((await ask('/a.mp4?utm=1')).cacheStatus).not.toContain('hit');
  });

  test('shows what changes before a site is saved, refuses what is wrong, and goes back', async () => {
    const page = await dashboard.open('sites/default');
    const settings = page.getByLabel('Settings');
    await expect.poll(() => settings.inputValue()).toContain('"hosts"');
    const before = await settings.inputValue();
    const parsed = JSON.parse(before) as { key: { sortQuery: boolean } };
    const withSorting = (sortQuery: unknown): string =>
      JSON.stringify({ ...parsed, key: { ...parsed.key, sortQuery } });
    await settings.fill(withSorting('maybe'));
    await page.getByRole('button', { name: 'Look at changes' }).click();
    await page.getByRole('alert').getByText('sortQuery').first().waitFor();
    dashboard.expectError(/422/);
    await settings.fill(withSorting(!parsed.key.sortQuery));
    await page.getByRole('button', { name: 'Look at changes' }).click();
    await page.getByRole('dialog').getByText('key.sortQuery').waitFor();
    await dashboard.picture(page, 'site-diff-wide-light');
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await page.getByText('default is saved').waitFor();
    await page.goto(`${dashboard.url}#/sites`);
    await page
      .getByRole('button', { name: /^Go back to/ })
      .first()
      .click();
    await page.getByRole('dialog').getByText('key.sortQuery').waitFor();
    await page.getByRole('button', { name: 'Go back', exact: true }).click();
    await page.getByText('The earlier version is in effect').waitFor();
  });

  test('shows on the map where a client is sent', async () => {
    const page = await dashboard.open('route');
    await page.getByRole('textbox', { name: 'Client' }).fill('81.2.69.160');
    await page.getByRole('button', { name: 'Show the way' }).click();
    await page.getByRole('img', { name: /client: 81\.2\.69\.160.*chosen/ }).waitFor();
    await dashboard.picture(page, 'routed-wide-light');
    await dashboard.requireAccessible(page);
    await page.getByRole('textbox', { name: 'Client' }).fill('nowhere');
    await page.getByRole('button', { name: 'Show the way' }).click();
    await page
      .getByRole('alert')
      .getByText(/client.*expected/)
      .first()
      .waitFor();
    dashboard.expectError(/422/);
  });

  test('rolls a release back', async () => {
    await mkdir(dir, { recursive: true });
    for (const text of ['first', 'second']) {
      await writeFile(join(dir, 'index.html'), text);
      const made = await dashboard.up.command('release', dir, '--site', 'default');
      expect(made).toMatchObject({ code: 0 });
    }
    expect((await curl(`${edgeUrl()}/index.html`)).body).toBe('second');
    const page = await dashboard.open('releases');
    await page
      .getByRole('button', { name: /^Roll back to it/ })
      .first()
      .click();
    await page.getByRole('button', { name: 'Roll back', exact: true }).click();
    await page.getByText('It is switched back').waitFor();
    await expect.poll(async () => (await curl(`${edgeUrl()}/index.html`)).body).toBe('first');
  });

  test('makes a token that is shown once, and revokes it', async () => {
    const page = await dashboard.open('tokens');
    await page.getByLabel('Name').fill('reader');
    await page.getByRole('button', { name: 'Make it' }).click();
    const secret = await page.getByRole('dialog').locator('code').innerText();
    await dashboard.picture(page, 'token-wide-light');
    const known = async () =>
      (
        await fetch(`${dashboard.up.ready.controlPlane.url}/v1/sites`, {
          headers: { authorization: `Bearer ${secret}` },
        })
      ).status;
    expect(await known()).toBe(200);
    await page.getByRole('button', { name: 'I have it' }).click();
    await page.getByRole('button', { name: 'Rotate reader' }).click();
    const next = await page.getByRole('dialog').locator('code').innerText();
    expect(next).not.toBe(secret);
    expect(await known()).toBe(200);
    await page.getByRole('button', { name: 'I have it' }).click();
    await page.getByRole('button', { name: 'Revoke reader' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click();
    await page.getByText('reader is revoked').waitFor();
    expect(await known()).toBe(401);
    await page.goto(`${dashboard.url}#/audit`);
    await page.getByText('DELETE /v1/tokens/reader').waitFor();
  });

  test.each([
    'explain',
    'route',
    'certificates',
    'sites',
    'sites/film',
    'first-site',
    'purges',
    'releases',
    'tokens',
    'audit',
  ])('%s can be used by everybody, wide and narrow, light and dark', async (path) => {
    for (const [size, theme] of [
      ['wide', 'light'],
      ['narrow', 'dark'],
    ] as const) {
      const page = await dashboard.open(path, { size, theme });
      await page.getByRole('heading', { level: 1 }).waitFor();
      await expect.poll(() => page.getByText('Loading…').count()).toBe(0);
      await dashboard.picture(page, `${path.replace('/', '-')}-${size}-${theme}`);
      await dashboard.requireAccessible(page);
      await dashboard.requireFitting(page);
      await page.context().close();
    }
  });
});
