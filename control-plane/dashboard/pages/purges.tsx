import { useEffect, useState } from 'preact/hooks';
import { call, Problem, useApi } from '../api.ts';
import { bytesText, countText, durationText, momentText, whenText } from '../format.ts';
import { go, hrefOf, type Place } from '../router.ts';
import { Badge } from '../ui/badge.tsx';
import { Confirm } from '../ui/dialog.tsx';
import { Button, Field } from '../ui/form.tsx';
import { Card, PageHead, Stat, Stats } from '../ui/page.tsx';
import { Progress } from '../ui/progress.tsx';
import { Empty, Loaded, ProblemNotice } from '../ui/states.tsx';
import { Table } from '../ui/table.tsx';
import { doing } from '../ui/toasts.tsx';

interface PurgeNode {
  readonly node: string;
  readonly tier: string;
  readonly status: 'acknowledged' | 'pending' | 'lease-ended';
  readonly objects: number | null;
  readonly bytes: number | null;
  readonly tookMs: number | null;
}

interface Purge {
  readonly id: string;
  readonly mode: string;
  readonly by: string;
  readonly reason?: string;
  readonly status: 'pending' | 'complete';
  readonly createdAt: number;
  readonly completedAt?: number;
  readonly nodes: readonly PurgeNode[];
}

interface ListedPurge extends Purge {
  readonly kind?: string;
  readonly sites: readonly string[];
  readonly names: number;
  readonly first?: string;
}

interface Preview {
  readonly objects: number;
  readonly bytes: number;
  readonly originRequestsPerSecond: number;
  readonly sampled: boolean;
  readonly nodes: readonly { readonly node: string; readonly status: 'answered' | 'silent' }[];
}

export const Purges = ({ place }: { place: Place }) => {
  const [, id] = place.parts;
  return id === undefined ? <All /> : <One id={id} key={id} />;
};

/**
 * What can be named, as the API calls it, and how it is purged unless said otherwise: an origin may not
 * bear to send all of a site anew.
 */
const KINDS = {
  urls: {
    label: 'URLs',
    hint: 'One on each line: https://www.example.com/film.mp4',
    mode: 'hard',
  },
  prefixes: { label: 'Prefixes', hint: 'One on each line; all below each is purged', mode: 'hard' },
  tags: {
    label: 'Surrogate keys',
    hint: 'One on each line, as Surrogate-Key has them',
    mode: 'hard',
  },
  hosts: { label: 'Hosts', hint: 'One on each line', mode: 'hard' },
  site: { label: 'A site', hint: 'The name of the site', mode: 'soft' },
  everything: { label: 'Everything', hint: '', mode: 'soft' },
} as const;
type Kind = keyof typeof KINDS;

const MODES = {
  hard: 'Hard: never served again',
  soft: 'Soft: stale, and renewed when asked for',
  refresh: 'Refresh: renewed now',
  ban: 'Ban: not stored until the ban is lifted',
} as const;

function targetOf(kind: Kind, text: string): object {
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean);
  if (kind === 'everything') return { everything: true };
  return kind === 'site' ? { site: lines[0] ?? '' } : { [kind]: lines };
}

function All() {
  const asked = useApi<{ items: readonly ListedPurge[] }>('/v1/purges', { limit: 50 }, 3_000);
  return (
    <>
      <PageHead title="Purges" lead="Have caches forget, and see when every one of them has." />
      <Order onOrdered={(id) => go(['purges', id])} />
      <Bans />
      <Card title="Ordered of late">
        <Loaded asked={asked}>
          {({ items }) =>
            items.length === 0 ? (
              <Empty title="Nothing was purged yet" />
            ) : (
              <Table
                caption="Purges"
                rows={items}
                keyOf={({ id }) => id}
                columns={[
                  {
                    title: 'What',
                    cell: ({ id, first, kind, names, sites }) => (
                      <a href={hrefOf(['purges', id])}>
                        {kind} {first ?? sites.join(', ')}
                        {names > 1 && ` and ${names - 1} more`}
                      </a>
                    ),
                  },
                  { title: 'Mode', cell: ({ mode }) => mode },
                  { title: 'State', cell: (purge) => <State purge={purge} /> },
                  { title: 'By', cell: ({ by }) => by },
                  { title: 'When', cell: ({ createdAt }) => whenText(createdAt) },
                ]}
              />
            )
          }
        </Loaded>
      </Card>
    </>
  );
}

const State = ({ purge: { status, nodes } }: { purge: Purge }) =>
  status === 'complete' ? (
    <Badge tone="good">complete</Badge>
  ) : (
    <Badge tone="busy">
      {nodes.filter((node) => node.status !== 'pending').length} of {nodes.length} nodes
    </Badge>
  );

function Order({ onOrdered }: { onOrdered: (id: string) => void }) {
  const [kind, setKind] = useState<Kind>('urls');
  const [text, setText] = useState('');
  const [mode, setMode] = useState<keyof typeof MODES>('hard');
  const [reason, setReason] = useState('');
  const [preview, setPreview] = useState<Preview>();
  const [problem, setProblem] = useState<Problem>();
  const [isAsking, setAsking] = useState(false);
  const order = () => ({ ...targetOf(kind, text), mode, ...(reason !== '' && { reason }) });
  const send = async (body: object, then: (answer: never) => void): Promise<void> => {
    setAsking(true);
    try {
      then(await call<never>('/v1/purges', { method: 'POST', body }));
      setProblem(undefined);
    } catch (error) {
      setPreview(undefined);
      setProblem(error instanceof Problem ? error : new Problem({ detail: String(error) }, 0));
    }
    setAsking(false);
  };
  const { hint, label } = KINDS[kind];
  return (
    <Card title="Purge">
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault();
          void send({ ...order(), dryRun: true }, (found: Preview) => setPreview(found));
        }}
      >
        <div class="columns">
          <Field label="What">
            {(props) => (
              <select
                {...props}
                value={kind}
                onChange={({ currentTarget }) => {
                  const chosen = currentTarget.value as Kind;
                  setKind(chosen);
                  setMode(KINDS[chosen].mode);
                }}
              >
                {Object.entries(KINDS).map(([name, one]) => (
                  <option value={name} key={name}>
                    {one.label}
                  </option>
                ))}
              </select>
            )}
          </Field>
          <Field label="How">
            {(props) => (
              <select
                {...props}
                value={mode}
                onChange={({ currentTarget }) => setMode(currentTarget.value as keyof typeof MODES)}
              >
                {Object.entries(MODES).map(([name, about]) => (
                  <option value={name} key={name}>
                    {about}
                  </option>
                ))}
              </select>
            )}
          </Field>
        </div>
        {kind !== 'everything' && (
          <Field label={label} hint={hint}>
            {(props) => (
              <textarea
                {...props}
                rows={3}
                required
                value={text}
                onInput={({ currentTarget }) => setText(currentTarget.value)}
              />
            )}
          </Field>
        )}
        <Field label="Reason" hint="Kept with the purge; may be left out">
          {(props) => (
            <input
              {...props}
              value={reason}
              onInput={({ currentTarget }) => setReason(currentTarget.value)}
            />
          )}
        </Field>
        <div class="actions">
          <Button kind="primary" type="submit" busy={isAsking}>
            Preview
          </Button>
        </div>
      </form>
      {problem !== undefined && <ProblemNotice problem={problem} />}
      {preview !== undefined && (
        <Confirm
          title="Purge this?"
          action="Purge"
          busy={isAsking}
          onClose={() => setPreview(undefined)}
          onConfirm={() => void send(order(), ({ id }: Purge) => onOrdered(id))}
        >
          <Stats>
            <Stat label="Stored copies" value={countText(preview.objects)} />
            <Stat label="Bytes" value={bytesText(preview.bytes)} />
            <Stat
              label="Requests to origins"
              value={`${countText(preview.originRequestsPerSecond)}/s`}
              note="until caches are full again"
            />
          </Stats>
          {preview.sampled && <p class="hint">Estimated from a sample.</p>}
          {preview.nodes.some(({ status }) => status === 'silent') && (
            <p class="notice warn">
              {preview.nodes
                .filter(({ status }) => status === 'silent')
                .map(({ node }) => node)
                .join(', ')}{' '}
              did not answer, and will be purged all the same.
            </p>
          )}
        </Confirm>
      )}
    </Card>
  );
}

interface Ban {
  readonly id: string;
  readonly sequence: number;
  readonly target: Readonly<Record<string, string | readonly string[]>>;
}

function Bans() {
  const asked = useApi<{ items: readonly Ban[] }>('/v1/bans', { limit: 100 }, 10_000);
  const [doomed, setDoomed] = useState<Ban>();
  const bans = asked.content?.items ?? [];
  if (bans.length === 0 && asked.problem === undefined) return null;
  const lift = async ({ id }: Ban): Promise<void> => {
    setDoomed(undefined);
    const path = `/v1/bans/${encodeURIComponent(id)}`;
    await doing(() => call(path, { method: 'DELETE' }), 'It may be stored again');
    asked.again();
  };
  return (
    <Card title="Bans">
      {asked.problem !== undefined && <ProblemNotice problem={asked.problem} again={asked.again} />}
      <Table
        caption="Bans"
        rows={bans}
        keyOf={({ id, target }) => `${id} ${String(target['site'])}`}
        columns={[
          { title: 'What', cell: ({ target }) => bannedText(target) },
          { title: 'Sequence', numeric: true, cell: ({ sequence }) => sequence },
          {
            title: '',
            cell: (ban) => (
              <Button onClick={() => setDoomed(ban)}>
                Lift<span class="unseen"> {bannedText(ban.target)}</span>
              </Button>
            ),
          },
        ]}
      />
      {doomed !== undefined && (
        <Confirm
          title="Lift this ban?"
          action="Lift"
          onClose={() => setDoomed(undefined)}
          onConfirm={() => void lift(doomed)}
        >
          <p>All bans of the same purge are lifted with it:</p>
          <ul class="plain-list">
            {bans
              .filter(({ id }) => id === doomed.id)
              .map(({ target }) => (
                <li key={bannedText(target)}>{bannedText(target)}</li>
              ))}
          </ul>
        </Confirm>
      )}
    </Card>
  );
}

/** `tags of film: news, sport`. */
function bannedText({ kind, site, ...names }: Ban['target']): string {
  const of = site === undefined ? '' : ` of ${String(site)}`;
  const listed = Object.values(names).flat().join(', ');
  return `${String(kind)}${of}${listed === '' ? '' : `: ${listed}`}`;
}

const NODE_TONES = { acknowledged: 'good', pending: 'busy', 'lease-ended': 'warn' } as const;

function One({ id }: { id: string }) {
  const [isOver, setOver] = useState(false);
  const path = `/v1/purges/${encodeURIComponent(id)}`;
  const asked = useApi<Purge>(path, {}, isOver ? undefined : 1_000);
  const isComplete = asked.content?.status === 'complete';
  useEffect(() => setOver(isComplete), [isComplete]);
  return (
    <>
      <PageHead title="Purge" lead={<code>{id}</code>}>
        <a href={hrefOf(['purges'])}>All purges</a>
      </PageHead>
      <Loaded asked={asked}>
        {(purge) => {
          const { nodes, mode, by, createdAt, completedAt, reason } = purge;
          const done = nodes.filter(({ status }) => status !== 'pending').length;
          return (
            <>
              <Card>
                <Stats>
                  <Stat label="State" value={<State purge={purge} />} />
                  <Stat label="Mode" value={mode} />
                  <Stat label="Ordered by" value={by} note={momentText(createdAt)} />
                  <Stat
                    label="Took"
                    value={completedAt === undefined ? '…' : durationText(completedAt - createdAt)}
                  />
                </Stats>
                {reason !== undefined && <p>{reason}</p>}
                <Progress label="Nodes that have purged" done={done} of={nodes.length} />
              </Card>
              <Card title="Nodes">
                <Table
                  caption="Nodes of the purge"
                  rows={nodes}
                  keyOf={({ node }) => node}
                  columns={[
                    { title: 'Node', cell: ({ node }) => node },
                    { title: 'Tier', cell: ({ tier }) => tier },
                    {
                      title: 'State',
                      cell: ({ status }) => <Badge tone={NODE_TONES[status]}>{status}</Badge>,
                    },
                    { title: 'Objects', numeric: true, cell: ({ objects }) => objects ?? '–' },
                    {
                      title: 'Bytes',
                      numeric: true,
                      cell: ({ bytes }) => (bytes === null ? '–' : bytesText(bytes)),
                    },
                    { title: 'Took', numeric: true, cell: ({ tookMs }) => durationText(tookMs) },
                  ]}
                />
              </Card>
            </>
          );
        }}
      </Loaded>
    </>
  );
}
