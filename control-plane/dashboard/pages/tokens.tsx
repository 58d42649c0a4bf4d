import { useState } from 'preact/hooks';
import { call, Problem, useApi } from '../api.ts';
import { whenText } from '../format.ts';
import { Badge } from '../ui/badge.tsx';
import { Confirm, Dialog } from '../ui/dialog.tsx';
import { Button, Field } from '../ui/form.tsx';
import { Card, PageHead } from '../ui/page.tsx';
import { Loaded, ProblemNotice } from '../ui/states.tsx';
import { Table } from '../ui/table.tsx';
import { doing } from '../ui/toasts.tsx';

interface Token {
  readonly name: string;
  readonly scopes: readonly string[];
  readonly sites: readonly string[] | null;
  readonly expiresAt: number | null;
  readonly lastUsedAt: number | null;
}

const SCOPES = ['read', 'purge', 'publish', 'configure', 'admin'] as const;

export function Tokens() {
  const asked = useApi<{ items: readonly Token[] }>('/v1/tokens', { limit: 1000 });
  const [secret, setSecret] = useState<string>();
  const [doomed, setDoomed] = useState<Token>();
  const rotate = async ({ name }: Token): Promise<void> => {
    const path = `/v1/tokens/${encodeURIComponent(name)}/rotate`;
    const make = async (): Promise<void> => {
      // What uses the old secret has a day to change.
      const body = { overlapSeconds: 86_400 };
      setSecret((await call<{ token: string }>(path, { method: 'POST', body })).token);
    };
    await doing(make, `${name} has a new secret; the old one is good for a day`);
    asked.again();
  };
  const revoke = async ({ name }: Token): Promise<void> => {
    setDoomed(undefined);
    const path = `/v1/tokens/${encodeURIComponent(name)}`;
    await doing(() => call(path, { method: 'DELETE' }), `${name} is revoked`);
    asked.again();
  };
  return (
    <>
      <PageHead title="Tokens" lead="Who may ask the API for what." />
      <Card>
        <Loaded asked={asked}>
          {({ items }) => (
            <Table
              caption="Tokens"
              rows={items}
              keyOf={({ name }) => name}
              columns={[
                { title: 'Token', cell: ({ name }) => name },
                {
                  title: 'Scopes',
                  cell: ({ scopes }) => scopes.map((one) => <Badge tone="plain">{one}</Badge>),
                },
                { title: 'Sites', cell: ({ sites }) => sites?.join(', ') ?? 'all' },
                {
                  title: 'Expires',
                  cell: ({ expiresAt }) => (expiresAt === null ? 'never' : whenText(expiresAt)),
                },
                {
                  title: 'Used',
                  cell: ({ lastUsedAt }) => (lastUsedAt === null ? 'never' : whenText(lastUsedAt)),
                },
                {
                  title: '',
                  cell: (one) => (
                    <div class="actions">
                      <Button onClick={() => void rotate(one)}>
                        Rotate<span class="unseen"> {one.name}</span>
                      </Button>
                      <Button kind="danger" onClick={() => setDoomed(one)}>
                        Revoke<span class="unseen"> {one.name}</span>
                      </Button>
                    </div>
                  ),
                },
              ]}
            />
          )}
        </Loaded>
      </Card>
      <Create
        onCreated={(made) => {
          setSecret(made);
          asked.again();
        }}
      />
      {secret !== undefined && (
        <Dialog title="The new token" onClose={() => setSecret(undefined)}>
          <p>It is shown this once; only its digest is kept.</p>
          <pre>
            <code>{secret}</code>
          </pre>
          <div class="actions end">
            {/* Pages over plain HTTP have no clipboard. */}
            {isSecureContext && (
              <Button
                onClick={() =>
                  void doing(() => navigator.clipboard.writeText(secret), 'It is in the clipboard')
                }
              >
                Copy
              </Button>
            )}
            <Button kind="primary" onClick={() => setSecret(undefined)}>
              I have it
            </Button>
          </div>
        </Dialog>
      )}
      {doomed !== undefined && (
        <Confirm
          title={`Revoke ${doomed.name}?`}
          action="Revoke"
          onClose={() => setDoomed(undefined)}
          onConfirm={() => void revoke(doomed)}
        >
          <p>Whoever uses it is refused from now on.</p>
        </Confirm>
      )}
    </>
  );
}

function Create({ onCreated }: { onCreated: (secret: string) => void }) {
  const [name, setName] = useState('');
  const [scopes, setScopes] = useState<readonly string[]>(['read']);
  const [sites, setSites] = useState('');
  const [days, setDays] = useState('90');
  const [problem, setProblem] = useState<Problem>();
  const create = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    try {
      const limited = sites.split(/[\s,]+/).filter(Boolean);
      const body = {
        name,
        scopes,
        ...(limited.length > 0 && { sites: limited }),
        ...(days !== '' && { expiresInSeconds: Number(days) * 86_400 }),
      };
      const { token } = await call<{ token: string }>('/v1/tokens', { method: 'POST', body });
      setProblem(undefined);
      setName('');
      onCreated(token);
    } catch (error) {
      setProblem(error instanceof Problem ? error : new Problem({ detail: String(error) }, 0));
    }
  };
  return (
    <Card title="Make a token">
      <form class="form" onSubmit={(event) => void create(event)}>
        <Field label="Name">
          {(props) => (
            <input
              {...props}
              required
              value={name}
              onInput={({ currentTarget }) => setName(currentTarget.value)}
            />
          )}
        </Field>
        <fieldset>
          <legend>Scopes</legend>
          {SCOPES.map((scope) => (
            <label key={scope}>
              <input
                type="checkbox"
                checked={scopes.includes(scope)}
                onChange={({ currentTarget }) =>
                  setScopes(
                    currentTarget.checked
                      ? [...scopes, scope]
                      : scopes.filter((one) => one !== scope),
                  )
                }
              />{' '}
              {scope}
            </label>
          ))}
        </fieldset>
        <Field label="Sites" hint="Names, separated by commas; all if left out">
          {(props) => (
            <input
              {...props}
              value={sites}
              onInput={({ currentTarget }) => setSites(currentTarget.value)}
            />
          )}
        </Field>
        <Field label="Days it is good for" hint="For ever if left out">
          {(props) => (
            <input
              {...props}
              type="number"
              min={1}
              value={days}
              onInput={({ currentTarget }) => setDays(currentTarget.value)}
            />
          )}
        </Field>
        {problem !== undefined && <ProblemNotice problem={problem} />}
        <div class="actions">
          <Button kind="primary" type="submit" disabled={scopes.length === 0}>
            Make it
          </Button>
        </div>
      </form>
    </Card>
  );
}
