import type { ExplainVerdict, KeyDifference, StoredVariant } from '#core/contract/explain.ts';
import type { Decision, Reason } from '#core/cache/policy/decide.ts';
import type { Storability } from '#core/cache/policy/storability.ts';
import { partText } from './near-keys.ts';

/** What sentences are made of. */
export interface Circumstances {
  readonly method: string;
  /** The variant that suits. */
  readonly stored: StoredVariant | undefined;
  readonly variants: readonly StoredVariant[];
  /** Of hit-for-miss. */
  readonly uncacheable: Storability | undefined;
  readonly banned: boolean;
}

const UNCACHEABLE: Readonly<Record<Exclude<Storability, 'storable'>, string>> = {
  method: 'was to another method',
  status: 'was a partial or conditional one',
  'must-understand': 'said must-understand with a status that is not known',
  'no-store': 'said no-store',
  private: 'said private',
  authorization: 'was to a request with Authorization, and did not allow sharing',
  'set-cookie': 'set a cookie, which is for one client',
  'vary-any': 'said Vary: *, which nothing ever matches',
  'no-reuse': 'had neither freshness nor a validator',
  'too-large': 'was larger than the site lets be stored',
  'too-many-tags': 'had more tags than are kept',
  banned: 'is banned from being stored',
  'no-room': 'found no memory free',
};

export const uncacheableText = (why: Storability | undefined): string =>
  why === undefined || why === 'storable' ? 'was found not to be one to store' : UNCACHEABLE[why];

const SENTENCES: Readonly<Record<Reason, (by: Circumstances) => string>> = {
  fresh: ({ stored }) => `what is stored is fresh for another ${left(stored)}`,
  'refresh-ahead': ({ stored }) =>
    `what is stored is fresh for another ${left(stored)}, and so much asked for that it is renewed already`,
  'fresh-lease-ended': () =>
    'what is stored is fresh; purges may have been missed, and the site says to serve on (onLeaseEnd)',
  'stale-while-revalidate': ({ stored }) =>
    `what is stored went stale ${staleFor(stored)} ago, within stale-while-revalidate (${seconds(stored?.freshness.staleWhileRevalidateMs)}); it is renewed behind`,
  'stale-if-error': () => 'a refresh has just failed, and stale-if-error allows what is stored',
  'refill-limited': () =>
    'what is stored was purged softly, and as much as the site allows is being renewed (cache.refillsPerSecond)',
  'max-stale': () => 'the client takes what is stale (max-stale)',
  'uri-miss': ({ banned }) =>
    `nothing stored under this key${banned ? '; a ban keeps it from being stored' : ''}`,
  'vary-miss': ({ variants }) => varyText(variants),
  partial: () => 'only another part of the object is stored',
  purged: ({ variants }) => purgedText(variants, 'hard'),
  'soft-purged': ({ variants }) => purgedText(variants, 'soft'),
  'fence-behind': () => 'this node has not heard yet of purges that the asking node has heeded',
  'lease-ended': () =>
    'the node has lost its link, so that purges may have been missed, and the site says to revalidate (onLeaseEnd)',
  stale: ({ stored }) => `what is stored went stale ${staleFor(stored)} ago`,
  'no-cache': () => 'the origin wants every use validated (no-cache)',
  changed: () => 'the asking node has seen the object changed by an unsafe method',
  request: () => 'the request’s own Cache-Control asks for more, and the site honours that',
  'only-if-cached': () => 'the request takes nothing but what is stored (only-if-cached)',
  method: ({ method }) => `${method} is never answered from a cache`,
  upgrade: () => 'the request would switch protocols',
  'request-content': () => 'the request carries content, which is no part of the key',
  'hit-for-miss': ({ uncacheable }) =>
    `the origin’s last answer to this ${uncacheableText(uncacheable)}, so that nobody waits for another`,
};

/** Why the node does what it does, in a sentence. */
export const becauseOf = ({ reason }: Decision, by: Circumstances): string => SENTENCES[reason](by);

const seconds = (ms = 0): string => `${Math.round(ms / 1000)} s`;
const left = (stored: StoredVariant | undefined): string =>
  seconds(Math.ceil((stored?.freshness.leftMs ?? 0) / 1000) * 1000);
const staleFor = (stored: StoredVariant | undefined): string =>
  seconds(-(stored?.freshness.leftMs ?? 0));

function varyText(variants: readonly StoredVariant[]): string {
  const count = variants.length === 1 ? 'one variant is' : `${variants.length} variants are`;
  const nearest = variants
    .map(({ differences }) => differences)
    .toSorted((a, b) => a.length - b.length)[0];
  const what = nearest?.map(differenceText).join(' and ') ?? '';
  return `${count} stored under this key, none for this request: ${what}`;
}

const said = (value: string | null): string => (value === null ? 'none' : JSON.stringify(value));

export function differenceText(difference: KeyDifference): string {
  const { asked, stored } = difference;
  return `${partText(difference)} is ${said(asked)}, stored ${said(stored)}`;
}

function purgedText(variants: readonly StoredVariant[], mode: 'hard' | 'soft'): string {
  const purge = variants.flatMap(({ purges }) => purges).find((one) => one.mode === mode);
  if (purge === undefined) return `what is stored was purged (${mode})`;
  const { scope, name, sequence } = purge;
  const what = name === null ? scope : `${scope} ${name}`;
  const at = sequence === null ? '' : `, sequence ${sequence} of the journal`;
  return `what is stored was purged (${mode}, ${what}${at})`;
}

/** One word for what a decision comes to. */
export function verdictOf({ action, ttlSeconds = 1 }: Decision): ExplainVerdict {
  switch (action) {
    case 'serve':
    case 'refresh-behind':
      return ttlSeconds > 0 ? 'hit' : 'stale';
    case 'revalidate':
      return 'revalidate';
    case 'fill':
      return 'miss';
    case 'pass':
      return 'pass';
    case 'refuse':
      return 'refused';
  }
}
