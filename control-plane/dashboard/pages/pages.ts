import type { ComponentType } from 'preact';
import type { Place } from '../router.ts';
import { Nodes } from './nodes.tsx';
import { Overview } from './overview.tsx';

export interface Page {
  /** The first part of its address; `overview` is at the root. */
  readonly name: string;
  readonly title: string;
  readonly group: 'Network' | 'Content' | 'Access';
  readonly View: ComponentType<{ readonly place: Place }>;
}

/** In the order of the menu. */
export const PAGES: readonly Page[] = [
  { name: 'overview', title: 'Overview', group: 'Network', View: Overview },
  { name: 'nodes', title: 'Nodes', group: 'Network', View: Nodes },
];

export const pageFor = ({ parts }: Place): Page | undefined =>
  parts.length === 0 ? PAGES[0] : PAGES.find(({ name }) => name === parts[0]);
