import {
  collectDefaultMetrics,
  type Metric as PromMetric,
  Registry,
  type RegistryContentType,
} from 'prom-client';
import { METRICS, type MetricName } from './metrics.ts';
import { type Samples, SUM } from './samples.ts';

export interface Exposition {
  readonly contentType: string;
  readonly text: string;
}

/**
 * Writes samples as Prometheus text, or as OpenMetrics where `accept` asks for it, together with
 * what prom-client measures of the process.
 * @param names every metric that the process has, sampled or not
 * @param labels of every line
 */
export async function expose(
  names: readonly MetricName[],
  samples: Samples,
  labels: Readonly<Record<string, string>>,
  accept: string | undefined,
): Promise<Exposition> {
  const isOpen = accept?.includes('application/openmetrics-text') === true;
  const contentType = isOpen ? Registry.OPENMETRICS_CONTENT_TYPE : Registry.PROMETHEUS_CONTENT_TYPE;
  const registry = new Registry<RegistryContentType>();
  registry.setContentType(contentType);
  registry.setDefaultLabels(labels);
  const process = (await watchProcess().getMetricsAsJSON()) as unknown as readonly Measured[];
  for (const measured of [...process, ...names.map((name) => ofCanopy(name, samples))]) {
    // OpenMetrics names a counter without the ending, which prom-client then puts on each line.
    const isCounter = isOpen && measured.type === 'counter';
    const metric = isCounter
      ? { ...measured, name: measured.name.replace(/_total$/, '') }
      : measured;
    // A histogram of prom-client's own could not be given its counts.
    registry.registerMetric({ ...metric, get: async () => metric } as unknown as PromMetric);
  }
  return { contentType, text: await registry.metrics() };
}

/** What `get` of a metric of prom-client resolves to. */
interface Measured {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly values: readonly Line[];
}

let ofProcess: Registry | undefined;

/** Measures what the process as a whole uses from now on; once, whoever asks. */
export function watchProcess(): Registry {
  if (ofProcess === undefined) {
    ofProcess = new Registry();
    collectDefaultMetrics({ register: ofProcess });
  }
  return ofProcess;
}

function ofCanopy(name: MetricName, samples: Samples): Measured {
  const { type, help, labels } = METRICS[name];
  const values = [...(samples.byMetric.get(name) ?? [])].flatMap(([key, value]) =>
    linesOf(name, labels, key.split('\n'), value),
  );
  return { name, help, type, values };
}

interface Line {
  readonly metricName?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

function linesOf(
  name: MetricName,
  names: readonly string[],
  given: readonly string[],
  value: number,
): readonly Line[] {
  const labels = Object.fromEntries(names.map((label, i) => [label, given[i] ?? '']));
  if (METRICS[name].type !== 'histogram') return [{ labels, value }];
  const le = given.at(-1) ?? '';
  if (le === SUM) return [{ metricName: `${name}_sum`, labels, value }];
  const bucket = { metricName: `${name}_bucket`, labels: { ...labels, le }, value };
  return le === '+Inf' ? [bucket, { metricName: `${name}_count`, labels, value }] : [bucket];
}
