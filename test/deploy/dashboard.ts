import { readFileSync } from 'node:fs';

interface Panel {
  readonly id: number;
  readonly title: string;
  readonly type: string;
  readonly gridPos: {
    readonly x: number;
    readonly y: number;
    readonly w: number;
    readonly h: number;
  };
  readonly targets?: readonly { readonly expr: string }[];
}

interface Variable {
  readonly name: string;
  readonly type: string;
  readonly definition?: string;
}

/** What we read of a dashboard of Grafana. */
interface Dashboard {
  readonly uid: string;
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly Variable[] };
}

const FILE = new URL('../../deploy/grafana/dashboards/canopy.json', import.meta.url);

export const dashboard = JSON.parse(readFileSync(FILE, 'utf8')) as Dashboard;

/** Rows have no queries. */
export const panels = dashboard.panels.filter(({ type }) => type !== 'row');

export const queries = panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr }) => ({ title, expr })),
);

/** Puts in for the variables what Grafana does where all is chosen. */
export const asQueried = (expr: string): string =>
  expr.replaceAll('$__rate_interval', '1m').replaceAll(/\$(?:site|tier|instance)\b/g, '.*');
