import { readFile } from 'node:fs/promises';
import { Agent } from 'undici';
import { expect, onTestFinished, test } from 'vitest';
import { sampleActivity, sampleNode } from '#core/serving/node-samples.ts';
import { expose } from '#core/telemetry/exposition.ts';
import { LABELS } from '#core/telemetry/labels.ts';
import { METRICS, metricsOf } from '#core/telemetry/metrics.ts';
import { Samples } from '#core/telemetry/samples.ts';
import { TlsEdge } from '#test/tls/edge.ts';
import { unboundedLabels } from './bounded.ts';
import { parseExposition } from './prometheus.ts';

const used = new Set(Object.values(METRICS).flatMap(({ labels }) => labels));

test('every label of a metric has bounds, and is documented with its values', async () => {
  expect([...used, 'tier'].toSorted()).toEqual(Object.keys(LABELS).toSorted());
  const text = await readFile(new URL('../../docs/metrics.md', import.meta.url), 'utf8');
  const table = text.slice(text.indexOf('\n| label '), text.indexOf('\nBeside these'));
  const documented = [...table.matchAll(/^\| `([a-z]+)` /gm)].map(([, label = '']) => label);
  expect(documented.toSorted()).toEqual(Object.keys(LABELS).toSorted());
});

const METHODS = ['GET', 'HEAD', 'POST', 'PURGE', 'PROPFIND', 'OPTIONS'] as const;

const numbers = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, i) => from + i);

test('however many hosts, paths, methods, agents and addresses there are, there are no more series', async () => {
  const edge = await TlsEdge.start({
    site: {
      hosts: ['*.example.org'],
      // However crowded the machine, no attempt at the origin fails.
      upstream: { connectTimeoutMs: 60_000, firstByteTimeoutMs: 60_000, totalTimeoutMs: 60_000 },
    },
    trustedProxies: ['127.0.0.1'],
    origin: (_, outgoing) => outgoing.setHeader('Cache-Control', 'max-age=60').end('hello'),
  });
  const agent = new Agent({ connections: 8 });
  onTestFinished(() => agent.close());
  const ask = async (i: number): Promise<void> => {
    const { body } = await agent.request({
      origin: edge.plainUrl,
      path: `/client-${i}?client-${i}`,
      method: METHODS[i % METHODS.length] as 'GET',
      headers: {
        host: `client-${i}.example.${i % 5 < 3 ? 'org' : 'com'}`,
        'user-agent': `client-${i}`,
        'x-forwarded-for': `10.0.${i >> 8}.${i & 255}`,
      },
    });
    await body.dump();
  };
  const series = async (): Promise<string> => {
    const samples = new Samples();
    sampleNode(edge.node, samples);
    sampleActivity({ connections: 0, accepted: 0, tunnels: 0, requests: 0 }, samples);
    const { text } = await expose(metricsOf(['cache', 'node']), samples, { tier: 'edge' }, '');
    const families = parseExposition(text, 'prometheus');
    expect(unboundedLabels(families)).toEqual([]);
    expect(families.get('canopy_requests_total')?.samples.length).toBe(3);
    return text
      .split('\n')
      .filter((line) => line.startsWith('canopy_'))
      .map((line) => line.slice(0, line.lastIndexOf(' ')))
      .join('\n');
  };
  await Promise.all(numbers(0, 60).map(ask));
  const before = await series();
  await Promise.all(numbers(60, 360).map(ask));
  expect(await series()).toBe(before);
  expect(before).not.toContain('client-');
  expect(before).not.toMatch(/10\.0\.\d/);
});

test('the check finds what is not bounded', () => {
  const families = parseExposition(
    '# HELP canopy_a x\n# TYPE canopy_a counter\ncanopy_a{host="a.test"} 1\ncanopy_a{site="A b"} 1\n',
    'prometheus',
  );
  expect(unboundedLabels(families)).toEqual(['canopy_a{host="a.test"}', 'canopy_a{site="A b"}']);
});
