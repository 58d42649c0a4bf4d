import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Dashboard } from './kit.ts';

let dashboard: Dashboard;
beforeAll(async () => {
  dashboard = await Dashboard.start();
}, 120_000);
afterAll(() => dashboard.close());

describe('the dashboard', () => {
  test('is found from the root of the API, and says so by its fields', async () => {
    const { url } = dashboard.up.ready.controlPlane;
    const answer = await fetch(url);
    expect(answer.url).toBe(dashboard.url);
    expect(answer.headers.get('content-security-policy')).toContain("script-src 'self'");
    const script = /src="\.\/(assets\/[^"]+)"/.exec(await answer.text())?.[1] ?? '';
    const asset = await fetch(new URL(script, dashboard.url));
    expect(asset.headers.get('cache-control')).toContain('immutable');
    for (const path of ['none.js', '..%2f..%2fpackage.json', 'sources.sha256/']) {
      expect((await fetch(`${dashboard.url}${path}`)).status).toBeGreaterThanOrEqual(400);
    }
  });

  test('asks for a token, and says where it is wrong', async () => {
    const page = await dashboard.openSignedOut();
    await page.getByLabel('API token').fill('wrong');
    await page.keyboard.press('Enter');
    await page.getByText('The token is not known').waitFor();
    dashboard.expectError(/401/);
    await dashboard.requireAccessible(page);
    await dashboard.picture(page, 'sign-in');
    await page.getByLabel('API token').fill(dashboard.token);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('navigation', { name: 'Pages' }).waitFor();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByLabel('API token').waitFor();
  });

  test('is where `canopy dashboard` says, with a link that signs in', async () => {
    const { stdout } = await dashboard.up.command('dashboard');
    const page = await dashboard.openSignedOut();
    await page.goto(stdout.trim());
    await page.getByRole('navigation', { name: 'Pages' }).waitFor();
    expect(page.url()).not.toContain(dashboard.token);
  });

  test.each([
    ['wide', 'light'],
    ['wide', 'dark'],
    ['narrow', 'light'],
  ] as const)('shows nodes: %s, %s', async (size, theme) => {
    const page = await dashboard.open('nodes', { size, theme });
    expect(new URL(page.url()).hash).toBe('#/nodes');
    await page.getByText('in service').first().waitFor();
    await dashboard.requireAccessible(page);
    await dashboard.picture(page, `nodes-${size}-${theme}`);
  });

  test('is used by keyboard alone', async () => {
    const page = await dashboard.open('');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    expect(await page.evaluate('document.activeElement?.id')).toBe('content');
  });
});
