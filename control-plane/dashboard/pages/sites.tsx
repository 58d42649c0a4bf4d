import { useEffect, useState } from 'preact/hooks';
import { ask, call, Problem, useApi } from '../api.ts';
import { whenText } from '../format.ts';
import { go, hrefOf, type Place } from '../router.ts';
import { Badge } from '../ui/badge.tsx';
import { Confirm } from '../ui/dialog.tsx';
import { type Change, Diff } from '../ui/diff.tsx';
import { Button, Field } from '../ui/form.tsx';
import { Card, PageHead } from '../ui/page.tsx';
import { Empty, Loaded, ProblemNotice } from '../ui/states.tsx';
import { Table } from '../ui/table.tsx';
import { doing, say } from '../ui/toasts.tsx';

interface Site {
  readonly name: string;
  readonly hosts: readonly string[];
  readonly origin: {
    readonly kind: string;
    readonly servers?: readonly { readonly url: string }[];
  };
  readonly rules: readonly unknown[];
}

interface Version {
  readonly number: number;
  readonly author: string;
  readonly reason: string | null;
  readonly createdAt: number;
  readonly status: string;
  readonly sites: readonly string[];
}

interface Finding {
  readonly severity: 'error' | 'warning';
  readonly site: string;
  readonly message: string;
}

interface Outcome {
  readonly diff: readonly Change[];
  readonly findings: readonly Finding[];
  readonly version: Version | null;
}

export const Sites = ({ place }: { place: Place }) => {
  const [, name] = place.parts;
  return name === undefined ? <All /> : <One name={name} key={name} />;
};

function All() {
  const asked = useApi<{ items: readonly Site[] }>('/v1/sites', { limit: 1000 });
  return (
    <>
      <PageHead title="Sites" lead="What is served, from where, and by which rules.">
        <a class="button primary" href={hrefOf(['first-site'])}>
          Add a site
        </a>
      </PageHead>
      <Card>
        <Loaded asked={asked}>
          {({ items }) =>
            items.length === 0 ? (
              <Empty title="There is no site yet">
                <a href={hrefOf(['first-site'])}>Set up the first one</a>
              </Empty>
            ) : (
              <Table
                caption="Sites"
                rows={items}
                keyOf={({ name }) => name}
                columns={[
                  {
                    title: 'Site',
                    cell: ({ name }) => <a href={hrefOf(['sites', name])}>{name}</a>,
                  },
                  { title: 'Hosts', cell: ({ hosts }) => hosts.join(', ') },
                  {
                    title: 'Origin',
                    cell: ({ origin: { kind, servers = [] } }) =>
                      kind === 'push' ? 'stored here' : servers.map(({ url }) => url).join(', '),
                  },
                  { title: 'Rules', numeric: true, cell: ({ rules }) => rules.length },
                ]}
              />
            )
          }
        </Loaded>
      </Card>
      <History />
    </>
  );
}

const VERSION_TONES: Readonly<Record<string, 'good' | 'busy' | 'bad' | 'warn'>> = {
  complete: 'good',
  canary: 'busy',
  'rolling-out': 'busy',
  halted: 'bad',
  aborted: 'warn',
};

function History() {
  const asked = useApi<{ items: readonly Version[] }>('/v1/config/versions', { limit: 20 }, 5_000);
  const [chosen, setChosen] = useState<{ version: Version; diff: readonly Change[] }>();
  const rollback = (version: Version, dryRun: boolean) =>
    call<Outcome>('/v1/config/rollback', { method: 'POST', body: { to: version.number, dryRun } });
  const choose = async (version: Version): Promise<void> => {
    try {
      setChosen({ version, diff: (await rollback(version, true)).diff });
    } catch (error) {
      say(error instanceof Problem ? error.message : String(error), 'bad');
    }
  };
  return (
    <Card title="Versions of the configuration">
      <Loaded asked={asked}>
        {({ items }) => (
          <Table
            caption="Versions"
            rows={items}
            keyOf={({ number }) => String(number)}
            columns={[
              { title: 'Version', cell: ({ number }) => number },
              {
                title: 'State',
                cell: ({ status }) => (
                  <Badge tone={VERSION_TONES[status] ?? 'plain'}>{status}</Badge>
                ),
              },
              { title: 'Sites', cell: ({ sites }) => sites.join(', ') },
              { title: 'By', cell: ({ author }) => author },
              { title: 'Reason', cell: ({ reason }) => reason ?? '–' },
              { title: 'When', cell: ({ createdAt }) => whenText(createdAt) },
              {
                title: '',
                cell: (version) =>
                  version === items[0] ? (
                    'in effect'
                  ) : (
                    <Button onClick={() => void choose(version)}>
                      Go back to {version.number}
                    </Button>
                  ),
              },
            ]}
          />
        )}
      </Loaded>
      {chosen !== undefined && (
        <Confirm
          title={`Go back to version ${chosen.version.number}?`}
          action="Go back"
          onClose={() => setChosen(undefined)}
          onConfirm={() => {
            void doing(() => rollback(chosen.version, false), 'The earlier version is in effect');
            setChosen(undefined);
            asked.again();
          }}
        >
          {chosen.diff.length === 0 ? (
            <p>That would change nothing.</p>
          ) : (
            <Diff changes={chosen.diff} />
          )}
        </Confirm>
      )}
    </Card>
  );
}

/** The settings as a document: every setting can be changed, and is checked by the control plane. */
function One({ name }: { name: string }) {
  const [text, setText] = useState('');
  const [etag, setEtag] = useState<string | null>(null);
  const [problem, setProblem] = useState<Problem>();
  const [outcome, setOutcome] = useState<Outcome>();
  const [isSaving, setSaving] = useState(false);
  const [isDeleting, setDeleting] = useState(false);
  const path = `/v1/sites/${encodeURIComponent(name)}`;
  const fail = (error: unknown): void =>
    setProblem(error instanceof Problem ? error : new Problem({ detail: String(error) }, 0));
  const load = async (): Promise<void> => {
    try {
      const answer = await ask<Site>(path);
      const { name: _, ...settings } = answer.content;
      setText(JSON.stringify(settings, undefined, 2));
      setEtag(answer.etag);
      setProblem(undefined);
    } catch (error) {
      fail(error);
    }
  };
  useEffect(() => void load(), [path]);
  const parsed = (): object => {
    try {
      return JSON.parse(text) as object;
    } catch (error) {
      throw new Problem(
        { code: 'invalid-json', detail: `The settings are no JSON: ${String(error)}` },
        0,
      );
    }
  };
  const preview = async (): Promise<void> => {
    try {
      const config = await call<{ sites: readonly Site[] }>('/v1/config');
      const sites = config.sites.map((site) => (site.name === name ? { name, ...parsed() } : site));
      const body = { sites, dryRun: true };
      setOutcome(await call<Outcome>('/v1/config', { method: 'POST', body }));
      setProblem(undefined);
    } catch (error) {
      fail(error);
    }
  };
  const save = async (): Promise<void> => {
    setSaving(true);
    try {
      const headers = etag === null ? {} : { 'if-match': etag };
      await call(path, { method: 'PUT', body: parsed(), headers });
      say(`${name} is saved`);
      await load();
    } catch (error) {
      fail(error);
    }
    setOutcome(undefined);
    setSaving(false);
  };
  const remove = async (): Promise<void> => {
    setDeleting(false);
    if (await doing(() => call(path, { method: 'DELETE' }), `${name} is no more`)) go(['sites']);
  };
  const errors = outcome?.findings.filter(({ severity }) => severity === 'error') ?? [];
  return (
    <>
      <PageHead title={name} lead="Settings of the site, as docs/site-settings.md describes them.">
        <a href={hrefOf(['sites'])}>All sites</a>
        <Button kind="danger" onClick={() => setDeleting(true)}>
          Delete
        </Button>
      </PageHead>
      {problem !== undefined && <ProblemNotice problem={problem} />}
      <Card>
        <Field label="Settings" hint="JSON; secrets are masked, and stay as they are where left so">
          {(props) => (
            <textarea
              {...props}
              rows={26}
              spellcheck={false}
              value={text}
              onInput={({ currentTarget }) => setText(currentTarget.value)}
            />
          )}
        </Field>
        <div class="actions">
          <Button kind="primary" onClick={() => void preview()}>
            Look at changes
          </Button>
          <Button onClick={() => void load()}>Discard</Button>
        </div>
      </Card>
      {outcome !== undefined && (
        <Confirm
          title="Save these changes?"
          action="Save"
          busy={isSaving || errors.length > 0 || outcome.diff.length === 0}
          onClose={() => setOutcome(undefined)}
          onConfirm={() => void save()}
        >
          {outcome.diff.length === 0 ? (
            <p>Nothing has changed.</p>
          ) : (
            <Diff changes={outcome.diff} />
          )}
          {outcome.findings
            .filter(({ site }) => site === name)
            .map(({ severity, message }) => (
              <p class={`notice ${severity === 'error' ? 'bad' : 'warn'}`} key={message}>
                {message}
              </p>
            ))}
        </Confirm>
      )}
      {isDeleting && (
        <Confirm
          title={`Delete ${name}?`}
          action="Delete"
          onClose={() => setDeleting(false)}
          onConfirm={() => void remove()}
        >
          <p>Its hosts will answer 421 from then on. A rollback brings the settings back.</p>
        </Confirm>
      )}
    </>
  );
}
