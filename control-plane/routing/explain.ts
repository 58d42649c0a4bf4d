import { prefixText } from './engine/prefix.ts';
import type { Near } from './engine/nearness.ts';
import type { Route, RoutedSite } from './routes.ts';

/** A route as people read it. */
export function explained(site: RoutedSite, address: string, { client, decision, scope }: Route) {
  const { point, asn, country, continent, source } = client;
  return {
    site: site.name,
    client: {
      address,
      network: prefixText(client.network),
      country: country ?? null,
      continent: continent ?? null,
      asn: asn ?? null,
      placedBy: source,
      point: point ?? null,
    },
    steps: decision.verdicts.map(({ step, dropped }) => ({ step, dropped })),
    isLastResort: decision.isLastResort,
    chosen: decision.chosen.map(shown),
    ranked: decision.ranked.map(shown),
    /** Every client in it gets this answer. */
    scope: prefixText(scope),
  };
}

const shown = ({ name, roundTripMs, nearnessBy, measurement }: Near) => ({
  node: name,
  roundTripMs: roundTripMs === undefined ? null : Math.round(roundTripMs * 10) / 10,
  by: nearnessBy,
  /** Whose measurements it is by. */
  measured:
    measurement === undefined
      ? null
      : { level: measurement.level, of: measurement.of, samples: measurement.samples },
});
