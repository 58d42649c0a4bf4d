import { useState } from 'preact/hooks';
import { call, Problem, useApi } from '../api.ts';
import { hrefOf } from '../router.ts';
import { Button, Field } from '../ui/form.tsx';
import { Card, PageHead } from '../ui/page.tsx';
import { ProblemNotice } from '../ui/states.tsx';
import type { NodeStatus } from './node-state.ts';

/** From an origin server to the first hit. */
export function FirstSite() {
  const [name, setName] = useState('');
  const [host, setHost] = useState('');
  const [origin, setOrigin] = useState('');
  const [problem, setProblem] = useState<Problem>();
  const [isSaving, setSaving] = useState(false);
  const [isSaved, setSaved] = useState(false);
  const nodes = useApi<{ items: readonly (NodeStatus & { readonly url: string })[] }>('/v1/nodes', {
    limit: 1000,
  });
  const edge = nodes.content?.items.find((node) => node.tier === 'edge' && node.inService);
  const save = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    setSaving(true);
    try {
      const body = { hosts: [host], origin: { kind: 'pull', servers: [{ url: origin }] } };
      const headers = { 'if-none-match': '*' };
      await call(`/v1/sites/${encodeURIComponent(name)}`, { method: 'PUT', body, headers });
      setSaved(true);
      setProblem(undefined);
    } catch (error) {
      setProblem(error instanceof Problem ? error : new Problem({ detail: String(error) }, 0));
    }
    setSaving(false);
  };
  // Clients ask for a name, also where the site takes any below one.
  const asked = host.replace(/^\*/, 'www');
  const url = `http://${asked}/`;
  return (
    <>
      <PageHead
        title="A new site"
        lead="Name it, say where it comes from, and see the first hit."
      />
      <Card title="1. What is served, and from where">
        <form class="form" onSubmit={(event) => void save(event)}>
          <Text
            label="Name"
            hint="Lower-case letters, digits and dashes; what you call it"
            value={name}
            onInput={setName}
          />
          <Text
            label="Host"
            hint="What clients ask for: www.example.com, or *.example.com"
            value={host}
            onInput={setHost}
          />
          <Text
            label="Origin server"
            hint="Where it is fetched: https://origin.example.com"
            value={origin}
            onInput={setOrigin}
          />
          {problem !== undefined && <ProblemNotice problem={problem} />}
          <div class="actions">
            <Button kind="primary" type="submit" busy={isSaving} disabled={isSaved}>
              Create the site
            </Button>
          </div>
        </form>
      </Card>
      {isSaved && (
        <>
          <Card title="2. Ask an edge, twice">
            <p>The first answer is fetched from your server, the second is a hit:</p>
            <pre>
              <code>{`curl -sI -H 'Host: ${asked}' ${edge?.url ?? 'http://EDGE'}/ | grep -i cache-status`}</code>
            </pre>
            <p class="hint">
              Clients find edges once the host’s DNS leads to them: see docs/routing.md.
            </p>
          </Card>
          <Card title="3. What next">
            <ul class="plain-list">
              <li>
                <a href={hrefOf(['explain'], { url })}>Explain</a> why an answer is a hit or a miss
              </li>
              <li>
                <a href={hrefOf(['purges'])}>Purge</a> what has changed
              </li>
              <li>
                <a href={hrefOf(['sites', name])}>Change</a> how it is cached
              </li>
            </ul>
          </Card>
        </>
      )}
    </>
  );
}

const Text = ({
  label,
  hint,
  value,
  onInput,
}: {
  label: string;
  hint: string;
  value: string;
  onInput: (value: string) => void;
}) => (
  <Field label={label} hint={hint}>
    {(props) => (
      <input
        {...props}
        required
        value={value}
        onInput={({ currentTarget }) => onInput(currentTarget.value)}
      />
    )}
  </Field>
);
