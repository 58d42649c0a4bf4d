import type { z } from 'zod';
import { useState } from 'preact/hooks';
import type {
  explainedTierSchema,
  explanationSchema,
  nodeExplanationSchema,
} from '#core/contract/explain.ts';
import { call, Problem } from '../api.ts';
import { bytesText, durationText } from '../format.ts';
import { hrefOf, type Place } from '../router.ts';
import { Badge, type Tone } from '../ui/badge.tsx';
import { Button, Field } from '../ui/form.tsx';
import { Card, PageHead } from '../ui/page.tsx';
import { ProblemNotice } from '../ui/states.tsx';

type Explanation = z.output<typeof explanationSchema>;
type Tier = z.output<typeof explainedTierSchema>;
type Told = z.output<typeof nodeExplanationSchema>;
type Difference = Told['stored'][number]['differences'][number];

const TONES: Readonly<Record<Told['verdict'], Tone>> = {
  hit: 'good',
  stale: 'warn',
  revalidate: 'busy',
  miss: 'warn',
  pass: 'plain',
  'own-answer': 'plain',
  refused: 'bad',
};

export function Explain({ place }: { place: Place }) {
  const [url, setUrl] = useState(place.query.get('url') ?? '');
  const [headers, setHeaders] = useState('');
  const [client, setClient] = useState('');
  const [explanation, setExplanation] = useState<Explanation>();
  const [problem, setProblem] = useState<Problem>();
  const [isAsking, setAsking] = useState(false);
  const ask = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    setAsking(true);
    try {
      const lines = headers.split('\n').filter((line) => line.trim() !== '');
      const body = { url, headers: lines, ...(client !== '' && { client }) };
      setExplanation(await call<Explanation>('/v1/explain', { method: 'POST', body }));
      setProblem(undefined);
      history.replaceState(null, '', hrefOf(['explain'], { url }));
    } catch (error) {
      setProblem(error instanceof Problem ? error : new Problem({ detail: String(error) }, 0));
    }
    setAsking(false);
  };
  return (
    <>
      <PageHead
        title="Explain"
        lead="What every tier would do with a request now, and why. Asking changes nothing."
      />
      <Card>
        <form class="form" onSubmit={(event) => void ask(event)}>
          <Field label="URL">
            {(props) => (
              <input
                {...props}
                type="url"
                required
                placeholder="https://www.example.com/film.mp4"
                value={url}
                onInput={({ currentTarget }) => setUrl(currentTarget.value)}
              />
            )}
          </Field>
          <div class="columns">
            <Field label="Request headers" hint="One on each line, such as Accept-Encoding: br">
              {(props) => (
                <textarea
                  {...props}
                  rows={2}
                  value={headers}
                  onInput={({ currentTarget }) => setHeaders(currentTarget.value)}
                />
              )}
            </Field>
            <Field label="Client" hint="An address, which chooses the edge; yours if left out">
              {(props) => (
                <input
                  {...props}
                  value={client}
                  onInput={({ currentTarget }) => setClient(currentTarget.value)}
                />
              )}
            </Field>
          </div>
          <div class="actions">
            <Button kind="primary" type="submit" busy={isAsking}>
              Explain
            </Button>
          </div>
        </form>
      </Card>
      {problem !== undefined && <ProblemNotice problem={problem} />}
      {explanation !== undefined && <Answer explanation={explanation} />}
    </>
  );
}

function Answer({ explanation }: { explanation: Explanation }) {
  const { headline, verdict, site, edge, hints, tiers, purges, purgesSince } = explanation;
  return (
    <>
      <div class={`notice ${verdict === null ? 'bad' : noticeOf(TONES[verdict])}`} role="status">
        <p>
          <strong>{headline}</strong>
        </p>
        <p>
          {site === null ? 'No site' : `Site ${site}`}
          {edge !== null && `; edge ${edge.node}: ${edge.why}`}
        </p>
      </div>
      {hints.length > 0 && (
        <Card title="What may help">
          <ul class="plain-list">
            {hints.map(({ text, setting }) => (
              <li key={text}>
                {text} {setting !== null && <code>{setting}</code>}
              </li>
            ))}
          </ul>
        </Card>
      )}
      {tiers.map((tier) => (
        <TierCard tier={tier} key={'node' in tier ? tier.node : tier.name} />
      ))}
      {purges.length > 0 && (
        <Card title={`Purges that name it, since ${purgesSince}`}>
          <ul class="plain-list">
            {purges.map(({ id, mode, sequence, target }) => (
              <li key={id}>
                <a href={hrefOf(['purges', id])}>{sequence}</a> {mode} {target.kind}
              </li>
            ))}
          </ul>
        </Card>
      )}
    </>
  );
}

const noticeOf = (tone: Tone): string => (tone === 'plain' || tone === 'busy' ? '' : tone);

const UNTOLD = {
  silent: 'It did not answer in time.',
  'not-in-service': 'It is not in service.',
} as const;

function TierCard({ tier }: { tier: Tier }) {
  switch (tier.status) {
    case 'origin':
      return (
        <Card title={`Origin ${tier.name}`}>
          <p>{tier.why}</p>
        </Card>
      );
    case 'explained':
      return (
        <Card
          title={`${tier.tier} ${tier.node}`}
          actions={
            <Badge tone={TONES[tier.explanation.verdict]}>
              {tier.explanation.verdict} ({tier.explanation.reason})
            </Badge>
          }
        >
          <Node said={tier.explanation} />
        </Card>
      );
    case 'older-version':
      return (
        <Card title={`${tier.tier} ${tier.node}`}>
          <p>It is of an older version ({tier.version}), which cannot explain.</p>
        </Card>
      );
    default:
      return (
        <Card title={`${tier.tier} ${tier.node}`}>
          <p>{UNTOLD[tier.status]}</p>
        </Card>
      );
  }
}

function Node({ said }: { said: Told }) {
  const { because, key, stored, near, parents, rules, guards, fill, fence } = said;
  const asked = [...parents.order, ...parents.skipped];
  return (
    <dl class="facts">
      <dt>Why</dt>
      <dd>{because}</dd>
      {rules.length > 0 && (
        <>
          <dt>Rules</dt>
          <dd>
            <ul class="plain-list">
              {rules.map(({ name, matches, unmet, actions }) => (
                <li key={name}>
                  {name}:{' '}
                  {matches ? `matches (${actions.join(', ')})` : `does not match (${unmet})`}
                </li>
              ))}
            </ul>
          </dd>
        </>
      )}
      {guards.length > 0 && (
        <>
          <dt>Guards</dt>
          <dd>
            <ul class="plain-list">
              {guards.map(({ guard, admits, why }) => (
                <li key={guard}>
                  {guard}: {admits === false ? 'refuses, ' : ''}
                  {why}
                </li>
              ))}
            </ul>
          </dd>
        </>
      )}
      {key !== null && (
        <>
          <dt>Key</dt>
          <dd>
            <code class="long">{key.text}</code>
            <ul class="inputs">
              {key.inputs.map(({ part, name, value, counts, why }) => (
                <li class={counts ? '' : 'out'} key={`${part} ${name}`}>
                  <strong>{counts ? 'in' : 'out'}</strong> {part} {name}{' '}
                  <code>{value ?? 'none'}</code>: {why}
                </li>
              ))}
            </ul>
          </dd>
        </>
      )}
      {stored.map((variant) => (
        <Variant variant={variant} key={`${variant.receivedAt} ${variant.etag}`} />
      ))}
      {near !== null && near.keys.length > 0 && (
        <>
          <dt>Nearest stored</dt>
          <dd>
            <ul class="plain-list">
              {near.keys.map((one) => (
                <li key={one.key}>
                  <code class="long">{one.key}</code>
                  <Differences all={one.differences} />
                </li>
              ))}
            </ul>
            <p class="hint">
              {near.sampled ? `${near.looked} of ${near.of}` : `All ${near.of}`} objects were looked
              at.
            </p>
          </dd>
        </>
      )}
      {fill !== null && (
        <>
          <dt>Fill</dt>
          <dd>
            Under way for {durationText(fill.ageMs)}, {fill.waiters} waiting;{' '}
            {fill.shared ? 'this request would share it' : 'nobody waits for it'}
          </dd>
        </>
      )}
      {asked.length > 0 && (
        <>
          <dt>Parents</dt>
          <dd>
            <ol class="plain-list">
              {parents.order.map(({ name, why }) => (
                <li key={name}>
                  {name}: {why}
                </li>
              ))}
              {parents.skipped.map(({ name, why }) => (
                <li class="out" key={name}>
                  not {name}: {why}
                </li>
              ))}
            </ol>
          </dd>
        </>
      )}
      <dt>Fence</dt>
      <dd>{fence}</dd>
    </dl>
  );
}

function Variant({ variant }: { variant: Told['stored'][number] }) {
  const { status, bytes, held, suits, differences, freshness, purges } = variant;
  return (
    <>
      <dt>Stored</dt>
      <dd>
        {status}, {bytesText(bytes)}, in {held}
        {freshness.cacheControl !== null && (
          <>
            , <code>{freshness.cacheControl}</code>
          </>
        )}
        {!suits && <Differences all={differences} />}
        <table class="sum">
          <tbody>
            {freshness.terms.map(({ name, ms, why }) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td class="number">{secondsText(ms)}</td>
                <td class="wrap">{why}</td>
              </tr>
            ))}
            <tr>
              <th scope="row">left</th>
              <td class="number">{secondsText(freshness.leftMs)}</td>
              <td>{freshness.leftMs > 0 ? 'fresh' : 'stale'}</td>
            </tr>
          </tbody>
        </table>
        {purges.map(({ mode, scope, name, sequence }) => (
          <p key={`${scope} ${name} ${sequence}`}>
            <Badge tone="bad">purged</Badge> {mode}, by {scope} {name}
            {sequence !== null && `, sequence ${sequence}`}
          </p>
        ))}
      </dd>
    </>
  );
}

const secondsText = (ms: number): string => `${Math.round(ms / 100) / 10} s`;

const Differences = ({ all }: { all: readonly Difference[] }) => (
  <ul class="differences">
    {all.map(({ part, name, asked, stored }) => (
      <li key={`${part} ${name}`}>
        {part} {name}: asked <ins>{asked ?? 'none'}</ins>, stored <del>{stored ?? 'none'}</del>
      </li>
    ))}
  </ul>
);
