import { time } from '../output.ts';
import type { Difference, Explanation, NodeExplanation, Tier, Variant } from './types.ts';

type Section = readonly [title: string, lines: readonly string[]];

/** Columns before the text of a section. */
const INDENT = 11;

const seconds = (ms: number): string => `${Math.round(ms / 100) / 10} s`;
const quoted = (value: string | null): string => (value === null ? 'none' : JSON.stringify(value));

/** An explanation as people read it: what happens and why first, then tier by tier. */
export function explanationText(explanation: Explanation): string {
  const { headline, hints, tiers, purges, purgesSince, bans, sequence } = explanation;
  return [
    headline,
    '',
    ...about(explanation),
    ...tiers.flatMap((tier) => ['', ...tierLines(tier, sequence)]),
    ...listed(`Purges that name it, since sequence ${purgesSince}:`, purges),
    ...listed('Bans that name it:', bans),
    ...(hints.length === 0 ? [] : ['', 'What may help:']),
    ...hints.map(({ text, setting }) => `  ${text}${setting === null ? '' : ` (${setting})`}`),
  ].join('\n');
}

function about({ method, url, site, sequence, edge }: Explanation): string[] {
  const known = site === null ? 'no site' : `site ${site}`;
  const chosen = edge === null ? '' : `; edge ${edge.node}, ${edge.why}`;
  return [`${method} ${url}`, `${known}, journal at ${sequence}${chosen}`];
}

const listed = (title: string, purges: Explanation['purges']): string[] =>
  purges.length === 0
    ? []
    : [
        '',
        title,
        ...purges.map(
          ({ id, mode, sequence, at, target }) =>
            `  ${sequence}  ${at === null ? '-' : time(at)}  ${mode} ${target.kind}  ${id}`,
        ),
      ];

const UNTOLD = {
  silent: 'did not answer in time',
  'not-in-service': 'is not in service',
} as const;

function tierLines(tier: Tier, sequence: number): string[] {
  switch (tier.status) {
    case 'origin':
      return [`origin ${tier.name} (not asked for this)`, ...section(['why', [tier.why]])];
    case 'explained':
      return [
        `${tier.tier} ${tier.node}: ${tier.explanation.verdict} (${tier.explanation.reason})`,
        ...sectionsOf(tier.explanation, sequence).flatMap(section),
      ];
    case 'older-version':
      return [
        `${tier.tier} ${tier.node} is of an older version (${tier.version}), which cannot explain`,
      ];
    default:
      return [`${tier.tier} ${tier.node} ${UNTOLD[tier.status]}`];
  }
}

const section = ([title, lines]: Section): string[] =>
  lines.map((line, i) => `  ${(i === 0 ? title : '').padEnd(INDENT - 2)}${line}`);

const sectionsOf = (said: NodeExplanation, sequence: number): readonly Section[] => [
  ['why', [said.because]],
  ['rules', said.rules.map(ruleLine)],
  ['guards', said.guards.map(guardLine)],
  ['key', keyLines(said)],
  ['stored', said.stored.flatMap(variantLines)],
  ['nearest', nearLines(said)],
  ['fill', fillLines(said)],
  ['parents', parentLines(said)],
  ['threads', threadLines(said)],
  ['fence', [fenceText(said, sequence)]],
];

function fenceText({ fence, leaseEnded }: NodeExplanation, sequence: number): string {
  const behind = fence < sequence ? `, ${sequence - fence} behind the journal` : '';
  return `${fence}${behind}${leaseEnded ? '; the lease has ended' : ''}`;
}

const ruleLine = ({ name, matches, unmet, actions }: NodeExplanation['rules'][number]): string =>
  matches
    ? `${name}: matches (${actions.join(', ')})`
    : `${name}: does not match (${unmet ?? '-'})`;

const ADMITS = new Map([
  [true, 'admits'],
  [false, 'REFUSES'],
]);

const guardLine = ({ guard, admits, why }: NodeExplanation['guards'][number]): string =>
  `${guard}: ${admits === null ? '' : `${ADMITS.get(admits) ?? ''}, `}${why}`;

function keyLines({ key }: NodeExplanation): string[] {
  if (key === null) return [];
  const inputs = key.inputs.map(({ part, name, value, counts, why }) => {
    const what = name === null ? part : `${part} ${name}`;
    return `${counts ? '+' : '-'} ${what} ${quoted(value)}: ${why}`;
  });
  return [key.text, ...inputs];
}

function variantLines(variant: Variant): string[] {
  const { suits, differences, status, bytes, held, freshness, asOf, tags, purges } = variant;
  const { leftMs, terms, cacheControl, staleWhileRevalidateMs, staleIfErrorMs } = freshness;
  return [
    `${status}, ${bytes} bytes, in ${held}${cacheControl === null ? '' : `, ${cacheControl}`}`,
    ...(suits ? [] : [`not for this request: ${differences.map(differenceText).join('; ')}`]),
    `fresh: ${terms.map(({ name, ms }, i) => `${termText(ms, i)} ${name}`).join(' ')} = ${seconds(leftMs)}`,
    ...terms.map(({ name, why }) => `  ${name}: ${why}`),
    `stale for ${seconds(staleWhileRevalidateMs)} while renewed behind, for ${seconds(staleIfErrorMs)} where parents fail`,
    `heeds purges up to ${asOf}${tags.length === 0 ? '' : `; tags ${tags.join(', ')}`}`,
    ...purges.map(
      ({ mode, scope, name, sequence }) =>
        `purged (${mode}) by ${scope}${name === null ? '' : ` ${name}`}${sequence === null ? '' : `, sequence ${sequence}`}`,
    ),
  ];
}

const termText = (ms: number, i: number): string =>
  i === 0 ? seconds(ms) : `${ms < 0 ? '-' : '+'} ${seconds(Math.abs(ms))}`;

function differenceText({ part, name, asked, stored }: Difference): string {
  const what = name === null ? part : `${part} ${name}`;
  return `${what} is ${quoted(asked)}, stored ${quoted(stored)}`;
}

function nearLines({ near }: NodeExplanation): string[] {
  if (near === null) return [];
  const looked = near.sampled
    ? `of ${near.looked} objects that were looked at, of ${near.of}: there may be nearer ones`
    : `of all ${near.of} objects`;
  if (near.keys.length === 0) return [`nothing near ${looked}`];
  return [
    ...near.keys.flatMap(({ key, differences, leftMs }) => [
      `${key} (${leftMs > 0 ? `fresh for ${seconds(leftMs)}` : 'stale'})`,
      ...differences.map((difference) => `  ${differenceText(difference)}`),
    ]),
    looked,
  ];
}

function fillLines({ fill }: NodeExplanation): string[] {
  if (fill === null) return [];
  const { ageMs, waiters, behind, shared } = fill;
  const kind = behind ? 'a refresh behind' : 'a fetch of it';
  return [
    `${kind} has been under way for ${seconds(ageMs)}, with ${waiters} waiting; ${shared ? 'this request would share it' : 'nobody waits for it'}`,
  ];
}

function parentLines({ parents }: NodeExplanation): string[] {
  const { asks, order, skipped } = parents;
  if (order.length + skipped.length === 0) return [];
  return [
    asks ? 'asked in this order:' : 'none is asked; if one were, in this order:',
    ...order.map(({ name, why }, i) => `${i + 1}. ${name}: ${why}`),
    ...skipped.map(({ name, why }) => `not ${name}: ${why}`),
  ];
}

/** Of a node with one thread there is nothing to tell. */
function threadLines({ threads }: NodeExplanation): string[] {
  if (threads.length < 2) return [];
  return threads.map(
    ({ slot, isHome, action, reason }) =>
      `${slot}${isHome ? ' (home of the object)' : ''}: ${action} (${reason})`,
  );
}
