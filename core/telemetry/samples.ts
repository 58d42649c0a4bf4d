import { METRICS, type MetricName } from './metrics.ts';

/** Values of a metric by its label values, joined by line breaks. */
type Values = Map<string, number>;

/** What stands for the sum of a histogram, in the place of a bucket's upper bound. */
export const SUM = 'sum';

/** What metrics measure at one moment: plain numbers, which threads can post and which add up. */
export class Samples {
  /** In the form in which threads post it. */
  readonly byMetric: Map<MetricName, Values>;

  constructor(byMetric: Map<MetricName, Values> = new Map()) {
    this.byMetric = byMetric;
  }

  /**
   * Adds to a value.
   * @param labels in the order of the metric; of a histogram also the upper bound of the bucket, or `SUM`
   */
  add(name: MetricName, value: number, ...labels: readonly string[]): void {
    const key = labels.join('\n');
    let values = this.byMetric.get(name);
    if (values === undefined) this.byMetric.set(name, (values = new Map()));
    values.set(key, (values.get(key) ?? 0) + value);
  }

  /** Adds all of another's, value by value. */
  addAll(others: Samples): void {
    for (const [name, values] of others.byMetric) {
      for (const [key, value] of values) this.add(name, value, key);
    }
  }

  /** What outlives a thread: all but the gauges. */
  counted(): Samples {
    return new Samples(
      new Map([...this.byMetric].filter(([name]) => METRICS[name].type !== 'gauge')),
    );
  }
}
