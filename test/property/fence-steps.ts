import type { PurgeMode } from '#core/contract/purge.ts';

export const HOST = 'www.example.org';
export const OTHER_HOST = 'img.example.org';

/** What the origin has: an object's content is the number of its version. */
export const OBJECTS = [
  { host: HOST, path: '/a', tags: ['x'] },
  { host: HOST, path: '/a/b', tags: ['x', 'y'] },
  { host: OTHER_HOST, path: '/a', tags: ['y'] },
] as const;

export type Named = (typeof OBJECTS)[number];

/** Changes the object, and has a control plane purge what it is part of. */
export interface Publish {
  readonly do: 'publish';
  readonly object: number;
  readonly kind: Kind;
  readonly mode: PurgeMode;
  readonly controlPlane: number;
}

/** One thing that happens; numbers choose among what there is, modulo how many there are. */
export type Step =
  | { readonly do: 'get'; readonly edge: number; readonly object: number }
  | { readonly do: 'change'; readonly object: number }
  | Publish
  /** The journal's next event reaches the node. */
  | { readonly do: 'deliver'; readonly node: number }
  /** What the node has to say of what was delivered reaches the control plane. */
  | { readonly do: 'acknowledge'; readonly node: number }
  /** The node sends a heartbeat, or the answer to its last one reaches it. */
  | { readonly do: 'beat'; readonly node: number }
  /** The node loses the control plane, or finds it again. */
  | { readonly do: 'link'; readonly node: number }
  | { readonly do: 'restart'; readonly node: number }
  | { readonly do: 'snapshot'; readonly node: number }
  /** A mid-tier cannot be reached, or can again. */
  | { readonly do: 'fail'; readonly midTier: number }
  /** The journal reaches whom it can, who say so. */
  | { readonly do: 'round' }
  /** One message, after so many others, stays on its way until it is released. */
  | { readonly do: 'hold'; readonly after: number }
  | { readonly do: 'release'; readonly message: number }
  | { readonly do: 'restart control plane'; readonly controlPlane: number }
  | { readonly do: 'restart all control planes' }
  /** The node turns to the other control plane. */
  | { readonly do: 'fail over'; readonly node: number }
  /** A control plane looks at what the other has done. */
  | { readonly do: 'hear'; readonly controlPlane: number }
  | { readonly do: 'wait'; readonly ms: 300 | 3400 | 11_000 };

/** How a purge of a kind names an object. */
export const TARGETS = {
  url: ({ host, path }: Named) => ({ urls: [`http://${host}${path}`] }),
  prefix: ({ host }: Named) => ({ prefixes: [`${host}/a/*`] }),
  tag: ({ tags }: Named) => ({ tags: [tags[0]] }),
  host: ({ host }: Named) => ({ hosts: [host] }),
  site: () => ({ site: 'site' }),
  everything: () => ({ everything: true as const }),
};
export type Kind = keyof typeof TARGETS;
export const KINDS = Object.keys(TARGETS) as readonly Kind[];

/** Whether a purge that names one object concerns another. */
export const CONCERNS: Record<Kind, (named: Named, object: Named) => boolean> = {
  url: (named, object) => named === object,
  prefix: (named, object) => named.host === object.host,
  tag: (named, object) => object.tags.some((tag) => tag === named.tags[0]),
  host: (named, object) => named.host === object.host,
  site: () => true,
  everything: () => true,
};
