import { useState } from 'preact/hooks';
import { call, Problem, useApi } from '../api.ts';
import { momentText, whenText } from '../format.ts';
import { Badge, type Tone } from '../ui/badge.tsx';
import { Button, Field } from '../ui/form.tsx';
import { Card, PageHead } from '../ui/page.tsx';
import { Empty, Loaded, ProblemNotice } from '../ui/states.tsx';
import { Table } from '../ui/table.tsx';
import { say } from '../ui/toasts.tsx';

interface Certificate {
  readonly name: string;
  readonly site: string | null;
  readonly source: string;
  readonly names: readonly string[];
  readonly issuer: string;
  readonly keyType: string;
  readonly notAfter: number;
}

interface Order {
  readonly name: string;
  readonly names: readonly string[];
  readonly challenge: string;
  readonly dueAt: number;
  readonly failures: number;
  readonly error: string | null;
}

const DAY_MS = 86_400_000;

/** Certificates of authorities are renewed a month ahead, so that two weeks mean that something is wrong. */
function validity({ notAfter }: Certificate): Tone {
  const leftMs = notAfter - Date.now();
  if (leftMs <= 0) return 'bad';
  return leftMs < 14 * DAY_MS ? 'warn' : 'good';
}

export function Certificates() {
  const asked = useApi<{ items: readonly Certificate[] }>('/v1/certificates', { limit: 1000 });
  const orders = useApi<{ items: readonly Order[] }>('/v1/acme/orders', { limit: 1000 }, 10_000);
  return (
    <>
      <PageHead title="Certificates" lead="What edges prove their names with, and until when." />
      <Card>
        <Loaded asked={asked}>
          {({ items }) =>
            items.length === 0 ? (
              <Empty title="There is no certificate yet">Upload one below, or order it.</Empty>
            ) : (
              <Table
                caption="Certificates"
                rows={items}
                keyOf={({ name }) => name}
                columns={[
                  { title: 'Certificate', cell: ({ name }) => name },
                  { title: 'Names', cell: ({ names }) => names.join(', ') },
                  {
                    title: 'Expires',
                    cell: (one) => (
                      <Badge tone={validity(one)}>
                        <time title={momentText(one.notAfter)}>{whenText(one.notAfter)}</time>
                      </Badge>
                    ),
                  },
                  { title: 'Source', cell: ({ source }) => source },
                  { title: 'Key', cell: ({ keyType }) => keyType },
                  { title: 'Issuer', cell: ({ issuer }) => issuer },
                ]}
              />
            )
          }
        </Loaded>
      </Card>
      {orders.problem !== undefined && (
        <ProblemNotice problem={orders.problem} again={orders.again} />
      )}
      {(orders.content?.items.length ?? 0) > 0 && (
        <Card title="Ordered by ACME">
          <Table
            caption="Orders"
            rows={orders.content?.items ?? []}
            keyOf={({ name }) => name}
            columns={[
              { title: 'Certificate', cell: ({ name }) => name },
              { title: 'Names', cell: ({ names }) => names.join(', ') },
              { title: 'Challenge', cell: ({ challenge }) => challenge },
              { title: 'Due', cell: ({ dueAt }) => whenText(dueAt) },
              {
                title: 'State',
                cell: ({ failures, error }) =>
                  failures === 0 ? (
                    <Badge tone="good">well</Badge>
                  ) : (
                    <Badge tone="bad">{error ?? `${failures} failures`}</Badge>
                  ),
              },
            ]}
          />
        </Card>
      )}
      <Upload onDone={asked.again} />
    </>
  );
}

function Upload({ onDone }: { onDone: () => void }) {
  const [name, setName] = useState('');
  const [chain, setChain] = useState('');
  const [key, setKey] = useState('');
  const [isPrivate, setPrivate] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const [isSaving, setSaving] = useState(false);
  const save = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    setSaving(true);
    try {
      const body = { chain, key, ...(isPrivate && { privateAuthority: true }) };
      await call(`/v1/certificates/${encodeURIComponent(name)}`, { method: 'PUT', body });
      say(`${name} is at the edges`);
      setKey('');
      setProblem(undefined);
      onDone();
    } catch (error) {
      setProblem(error instanceof Problem ? error : new Problem({ detail: String(error) }, 0));
    }
    setSaving(false);
  };
  const fields = [
    ['Certificate chain', 'PEM, the certificate first', chain, setChain],
    ['Private key', 'PEM; it is stored, and never shown again', key, setKey],
  ] as const;
  return (
    <Card title="Upload">
      <form class="form" onSubmit={(event) => void save(event)}>
        <Field label="Name" hint="One of the same name is replaced, with no connection dropped">
          {(props) => (
            <input
              {...props}
              required
              value={name}
              onInput={({ currentTarget }) => setName(currentTarget.value)}
            />
          )}
        </Field>
        {fields.map(([label, hint, value, set]) => (
          <Field label={label} hint={hint} key={label}>
            {(props) => (
              <textarea
                {...props}
                rows={5}
                required
                autocomplete="off"
                spellcheck={false}
                value={value}
                onInput={({ currentTarget }) => set(currentTarget.value)}
              />
            )}
          </Field>
        ))}
        <label>
          <input
            type="checkbox"
            checked={isPrivate}
            onChange={({ currentTarget }) => setPrivate(currentTarget.checked)}
          />{' '}
          It is of a private authority
        </label>
        {problem !== undefined && <ProblemNotice problem={problem} />}
        <div class="actions">
          <Button kind="primary" type="submit" busy={isSaving}>
            Upload
          </Button>
        </div>
      </form>
    </Card>
  );
}
