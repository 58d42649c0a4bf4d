import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '#test/eventually.ts';
import { Dashboard } from './kit.ts';

let dashboard: Dashboard;
beforeAll(async () => {
  dashboard = await Dashboard.start();
  const { edges, controlPlane } = dashboard.up.ready;
  for (const [i, { url }] of edges.entries()) {
    for (let n = 0; n < 40 * (i + 1); n++) await (await fetch(`${url}/`)).text();
  }
  await eventually(async () => {
    const answer = await fetch(`${controlPlane.url}/v1/traffic?by=site`, {
      headers: { authorization: `Bearer ${controlPlane.token}` },
    });
    const { groups } = (await answer.json()) as { groups: { total: { requests: number } }[] };
    expect(groups[0]?.total.requests).toBeGreaterThanOrEqual(240);
  });
}, 120_000);
afterAll(() => dashboard.close());

describe('the overview', () => {
  test.each([
    ['wide', 'light'],
    ['wide', 'dark'],
    ['narrow', 'light'],
  ] as const)('shows what was served, and where: %s, %s', async (size, theme) => {
    const page = await dashboard.open('', { size, theme });
    await page.getByRole('img', { name: /Locations.*oslo: edge, in service/ }).waitFor();
    await page.getByRole('heading', { name: 'Time to first byte' }).waitFor();
    await page.getByRole('button', { name: 'Location' }).click();
    await page.getByRole('cell', { name: 'oslo' }).waitFor();
    await dashboard.requireAccessible(page);
    await dashboard.picture(page, `overview-${size}-${theme}`);
  });

  test('is narrowed to a tier, a site and a location', async () => {
    const page = await dashboard.open('');
    await page.getByLabel('Location', { exact: true }).selectOption('oslo');
    await page.getByRole('button', { name: 'Node' }).click();
    await page.getByRole('cell', { name: 'edge-oslo' }).waitFor();
    expect(await page.getByRole('cell', { name: 'edge-rome' }).count()).toBe(0);
    await page.getByLabel('Tier', { exact: true }).selectOption('mid-tier');
    await page.getByText('Nothing was served in this time').first().waitFor();
  });

  test('a node is drained and taken back', async () => {
    const page = await dashboard.open('nodes');
    await page.getByRole('button', { name: 'Drain edge-rome' }).click();
    await page.getByText('edge-rome is asked nothing new').waitFor();
    await page.getByRole('button', { name: 'Resume edge-rome' }).click();
    await page.getByRole('button', { name: 'Drain edge-rome' }).waitFor();
  });
});
