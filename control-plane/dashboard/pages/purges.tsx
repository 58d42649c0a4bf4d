import { useState } from 'preact/hooks';
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
  return id === undefined ? <All /> : <One id={id} />;
};

/** What can be named, and how the API calls it. */
const KINDS = {
  urls: { label: 'URLs', hint: 'One on each line: https://www.example.com/film.mp4' },
  prefixes: { label: 'Prefixes', hint: 'One on each line; all below each is purged' },
  tags: { label: 'Surrogate keys', hint: 'One on each line, as Surrogate-Key has them' },
  hosts: { label: 'Hosts', hint: 'One on each line' },
  site: { label: 'A site', hint: 'The name of the site' },
  everything: { label: 'Everything', hint: '' },
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
                onChange={({ currentTarget }) => setKind(currentTarget.value as Kind)}
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
            <p class="notice warn">Not every node answered; they are purged all the same.</p>
          )}
        </Confirm>
      )}
    </Card>
  );
}

interface Ban {
  readonly id: string;
  readonly sequence: number;
  readonly target: { readonly kind: string; readonly site?: string };
}

function Bans() {
  const asked = useApi<{ items: readonly Ban[] }>('/v1/bans', { limit: 100 }, 10_000);
  const bans = asked.content?.items ?? [];
  if (bans.length === 0) return null;
  const lift = async ({ id }: Ban): Promise<void> => {
    const path = `/v1/bans/${encodeURIComponent(id)}`;
    await doing(() => call(path, { method: 'DELETE' }), 'The ban is lifted');
    asked.again();
  };
  return (
    <Card title="Bans">
      <Table
        caption="Bans"
        rows={bans}
        keyOf={({ id }) => id}
        columns={[
          { title: 'What', cell: ({ target }) => `${target.kind} ${target.site ?? ''}` },
          { title: 'Sequence', numeric: true, cell: ({ sequence }) => sequence },
          { title: '', cell: (ban) => <Button onClick={() => void lift(ban)}>Lift</Button> },
        ]}
      />
    </Card>
  );
}

const NODE_TONES = { acknowledged: 'good', pending: 'busy', 'lease-ended': 'warn' } as const;

function One({ id }: { id: string }) {
  const asked = useApi<Purge>(`/v1/purges/${encodeURIComponent(id)}`, {}, 1_000);
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
