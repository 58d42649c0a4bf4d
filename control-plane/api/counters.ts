import type { Samples } from '#core/telemetry/samples.ts';

/** Requests to what is no route. */
const NO_ROUTE = '_none';

/** Requests to the API since the start, by route as it is declared, so that there are only so many. */
export class ApiCounters {
  readonly #counts = new Map<string, { readonly labels: readonly string[]; count: number }>();

  /** @param route `undefined`: there is none for what was asked */
  record(method: string, route: string | undefined, status: number): void {
    const labels = [
      route === undefined ? NO_ROUTE : method,
      route ?? NO_ROUTE,
      `${Math.floor(status / 100)}xx`,
    ];
    const key = labels.join(' ');
    const counted = this.#counts.get(key) ?? { labels, count: 0 };
    counted.count++;
    this.#counts.set(key, counted);
  }

  sample(samples: Samples): void {
    for (const { labels, count } of this.#counts.values()) {
      samples.add('canopy_api_requests_total', count, ...labels);
    }
  }
}
