import type { ComponentType } from 'preact';
import type { Place } from '../router.ts';
import { Audit } from './audit.tsx';
import { Certificates } from './certificates.tsx';
import { Explain } from './explain.tsx';
import { FirstSite } from './first-site.tsx';
import { Nodes } from './nodes.tsx';
import { Overview } from './overview.tsx';
import { Purges } from './purges.tsx';
import { Releases } from './releases.tsx';
import { Route } from './route.tsx';
import { Sites } from './sites.tsx';
import { Tokens } from './tokens.tsx';

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
  { name: 'explain', title: 'Explain', group: 'Network', View: Explain },
  { name: 'route', title: 'Routing', group: 'Network', View: Route },
  { name: 'certificates', title: 'Certificates', group: 'Network', View: Certificates },
  { name: 'sites', title: 'Sites', group: 'Content', View: Sites },
  { name: 'first-site', title: 'A new site', group: 'Content', View: FirstSite },
  { name: 'purges', title: 'Purges', group: 'Content', View: Purges },
  { name: 'releases', title: 'Releases and pushes', group: 'Content', View: Releases },
  { name: 'tokens', title: 'Tokens', group: 'Access', View: Tokens },
  { name: 'audit', title: 'Audit', group: 'Access', View: Audit },
];

export const pageFor = ({ parts }: Place): Page | undefined =>
  parts.length === 0 ? PAGES[0] : PAGES.find(({ name }) => name === parts[0]);
