import { spawn } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { asQueried, queries } from '#test/deploy/dashboard.ts';
import { curl, kill, RunningUp } from './canopy.ts';

const DEPLOY = fileURLToPath(new URL('../../deploy/prometheus/', import.meta.url));

interface Config {
  readonly global: object;
  readonly scrape_configs: readonly { readonly static_configs: readonly object[] }[];
}

/** A real Prometheus, by our example of a configuration, over other places. @returns its URL */
async function startPrometheus(root: string, places: Places): Promise<string> {
  const config = parse(await readFile(join(DEPLOY, 'prometheus.yml'), 'utf8')) as Config;
  const static_configs = Object.entries(places).map(([instance, url]) => ({
    targets: [new URL(url).host],
    labels: { instance },
  }));
  const scrape_configs = config.scrape_configs.map((job) => ({ ...job, static_configs }));
  const global = { ...config.global, scrape_interval: '1s', evaluation_interval: '1s' };
  await cp(join(DEPLOY, 'alerts.yml'), join(root, 'alerts.yml'));
  const file = join(root, 'prometheus.yml');
  await writeFile(file, stringify({ ...config, global, scrape_configs }));
  const child = spawn(
    'prometheus',
    [
      `--config.file=${file}`,
      `--storage.tsdb.path=${join(root, 'tsdb')}`,
      '--web.listen-address=127.0.0.1:0',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const ended = new Promise((resolve) => child.once('close', resolve));
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  for await (const line of createInterface(child.stderr)) {
    const address = /msg="Listening on" address=(\S+)/.exec(line)?.[1];
    if (address === undefined) continue;
    child.stderr.resume();
    return `http://${address}`;
  }
  throw new Error('Prometheus has ended');
}

type Places = Readonly<Record<string, string>>;

/** How many series the answer has. */
async function seriesOf(prometheus: string, query: string): Promise<number> {
  const answer = await fetch(`${prometheus}/api/v1/query?query=${encodeURIComponent(query)}`);
  expect(answer.status).toBe(200);
  return ((await answer.json()) as { data: { result: unknown[] } }).data.result.length;
}

/** Nothing fails, there are no certificates, and nobody has asked DNS. */
const EMPTY = [
  'Failures of parents',
  'Failures of the disk',
  'Certificates expire in',
  'Answers of DNS, by code',
];

test('by the example of its configuration a real Prometheus has data for each panel of the dashboard', async () => {
  const root = await mkdtemp(join(tmpdir(), 'canopy-prometheus-'));
  onTestFinished(() => rm(root, { recursive: true, force: true, maxRetries: 10 }));
  const up = await RunningUp.start(
    root,
    '--edges',
    '1',
    '--mid-tiers',
    '1',
    '--routers',
    '1',
    '--workers',
    '1',
  );
  onTestFinished(async () => {
    await up.end('SIGKILL');
  });
  const { edges, midTiers, routers, origin, controlPlane } = up.ready;
  const places: Places = Object.fromEntries(
    Object.entries({
      edge: edges[0],
      midTier: midTiers[0],
      router: routers[0],
      origin,
      controlPlane,
    }).map(([instance, place]) => [instance, place?.adminUrl ?? '']),
  );
  const prometheus = await startPrometheus(root, places);
  await expect.poll(() => seriesOf(prometheus, 'up{job="canopy"} == 1')).toBe(5);
  await curl(`${edges[0]?.url}/style.css`, `${edges[0]?.url}/style.css`);
  // A rate takes two samples.
  await expect
    .poll(() => seriesOf(prometheus, 'rate(canopy_requests_total{cache="hit"}[1m])'))
    .toBe(1);
  const empty: string[] = [];
  for (const { title, expr } of queries) {
    if ((await seriesOf(prometheus, asQueried(expr))) === 0) empty.push(title);
  }
  expect(empty).toEqual(EMPTY);
  expect(await seriesOf(prometheus, 'ALERTS{alertstate="firing"}')).toBe(0);

  kill({ ...controlPlane, name: 'control-plane', location: { name: '' } }, 'SIGKILL');
  // They wait for two minutes before they fire.
  await expect.poll(() => seriesOf(prometheus, 'ALERTS{alertname="CanopyProcessDown"}')).toBe(1);
  await expect.poll(() => seriesOf(prometheus, 'ALERTS{alertname="CanopyJournalLost"}')).toBe(4);
});
