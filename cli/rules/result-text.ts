import { table } from '../output.ts';
import type { FieldsDifference, TrialResult } from './test-request.ts';

const ANSWERED: Readonly<Record<TrialResult['answer']['by'], string>> = {
  site: 'Answer of the site',
  respond: 'Answer of the rule',
  redirect: 'Redirect',
  'cors-preflight': 'Answer to the preflight',
  refusal: 'Refused',
};

/** What rules made of a request, for people. */
export function resultText({ site, rules, request, answer, cache }: TrialResult): string {
  const { by, status, code, contentType, hasErrorPage } = answer;
  const what = [status, code, contentType].filter((part) => part !== null && part !== '').join(' ');
  return [
    rules.length === 0
      ? `Site ${site} has no rules.`
      : table(
          ['rule', 'matches', 'but for', 'actions'],
          rules.map(({ name, matches, unmet, actions }) => [
            name,
            matches ? 'yes' : 'no',
            unmet ?? '-',
            actions.join(' '),
          ]),
        ),
    '',
    ...(request === null ? [] : requestLines(request)),
    `${ANSWERED[by]}: ${what}${hasErrorPage ? ', under an error page' : ''}`,
    ...fieldLines(answer),
    ...Object.entries(cache).map(
      ([name, { from, to }]) => `Cache: ${name} ${JSON.stringify(to)} (${JSON.stringify(from)})`,
    ),
  ].join('\n');
}

function requestLines(request: NonNullable<TrialResult['request']>): readonly string[] {
  const { from, to, origin } = request;
  return [
    `Request: ${from === to ? to : `${from} -> ${to}`}`,
    ...fieldLines(request),
    ...(origin === null ? [] : [`Origin: ${origin}`]),
  ];
}

const fieldLines = ({ removed, added }: FieldsDifference): readonly string[] => [
  ...removed.map((line) => `  - ${line}`),
  ...added.map((line) => `  + ${line}`),
];
