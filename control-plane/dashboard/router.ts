import { signalOf, useSignal } from './signal.ts';

/** Where in the dashboard: `#/sites/film?tab=rules` has the parts `sites`, `film` and the query `tab`. */
export interface Place {
  readonly parts: readonly string[];
  readonly query: URLSearchParams;
}

const read = (): Place => {
  const [path = '', query = ''] = location.hash.replace(/^#\/?/, '').split('?');
  const parts = path.split('/').filter(Boolean).map(decodeURIComponent);
  return { parts, query: new URLSearchParams(query) };
};

const place = signalOf(read());
addEventListener('hashchange', () => place.set(read()));

export const usePlace = (): Place => useSignal(place);

/** @param parts joined to a path, each encoded */
export function hrefOf(
  parts: readonly string[],
  query: Readonly<Record<string, string>> = {},
): string {
  const search = new URLSearchParams(query).toString();
  return `#/${parts.map(encodeURIComponent).join('/')}${search === '' ? '' : `?${search}`}`;
}

export const go = (parts: readonly string[], query?: Readonly<Record<string, string>>): void => {
  location.hash = hrefOf(parts, query);
};
