import { useState } from 'preact/hooks';
import { call, useApi } from '../api.ts';
import { bytesText, countText, whenText } from '../format.ts';
import { Badge, type Tone } from '../ui/badge.tsx';
import { Confirm } from '../ui/dialog.tsx';
import { Button, Field } from '../ui/form.tsx';
import { Card, PageHead } from '../ui/page.tsx';
import { Progress } from '../ui/progress.tsx';
import { Empty, Loaded } from '../ui/states.tsx';
import { Table } from '../ui/table.tsx';
import { doing } from '../ui/toasts.tsx';

interface Release {
  readonly id: string;
  readonly status: string;
  readonly step: string;
  readonly objects: number;
  readonly bytes: number;
  readonly added: number;
  readonly changed: number;
  readonly deleted: number;
  readonly by: string;
  readonly createdAt: number;
  readonly isHeld: boolean;
}

interface Push {
  readonly id: string;
  readonly status: string;
  readonly sites: readonly string[];
  readonly urls: number;
  readonly by: string;
  readonly createdAt: number;
  readonly nodes: readonly { readonly status: string; readonly failed: number }[];
}

const TONES: Readonly<Record<string, Tone>> = {
  preparing: 'busy',
  switching: 'busy',
  running: 'busy',
  current: 'good',
  complete: 'good',
  failed: 'bad',
  expired: 'warn',
  cancelled: 'warn',
};

export function Releases() {
  const sites = useApi<{
    items: readonly { readonly name: string; readonly origin: { readonly kind: string } }[];
  }>('/v1/sites', { limit: 1000 });
  const stored = (sites.content?.items ?? []).filter(({ origin }) => origin.kind === 'push');
  const [chosen, setChosen] = useState('');
  const site = chosen === '' ? stored[0]?.name : chosen;
  return (
    <>
      <PageHead
        title="Releases and pushes"
        lead="Content that is stored in the network, and content that is in caches before it is asked for."
      >
        {stored.length > 0 && (
          <Field label="Site">
            {(props) => (
              <select
                {...props}
                value={site}
                onChange={({ currentTarget }) => setChosen(currentTarget.value)}
              >
                {stored.map(({ name }) => (
                  <option value={name} key={name}>
                    {name}
                  </option>
                ))}
              </select>
            )}
          </Field>
        )}
      </PageHead>
      {site === undefined ? (
        <Card>
          <Empty title="No site is stored in the network">
            Releases are of sites whose origin is of the kind <code>push</code>.
          </Empty>
        </Card>
      ) : (
        <OfSite site={site} key={site} />
      )}
      <Pushes />
    </>
  );
}

function OfSite({ site }: { site: string }) {
  const path = `/v1/sites/${encodeURIComponent(site)}/releases`;
  const asked = useApi<{ items: readonly Release[] }>(path, { limit: 50 }, 2_000);
  const [target, setTarget] = useState<Release>();
  const rollback = async ({ id }: Release): Promise<void> => {
    setTarget(undefined);
    const body = { to: id };
    await doing(() => call(`${path}/rollback`, { method: 'POST', body }), 'It is switched back');
    asked.again();
  };
  return (
    <Card title={`Releases of ${site}`}>
      <Loaded asked={asked}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="There is no release yet">
              <code>canopy release DIR --site {site}</code> makes one.
            </Empty>
          ) : (
            <Table
              caption={`Releases of ${site}`}
              rows={items}
              keyOf={({ id }) => id}
              columns={[
                {
                  title: 'State',
                  cell: ({ status, step }) => (
                    <Badge tone={TONES[status] ?? 'plain'}>
                      {status === 'preparing' ? step : status}
                    </Badge>
                  ),
                },
                { title: 'Objects', numeric: true, cell: ({ objects }) => countText(objects) },
                { title: 'Bytes', numeric: true, cell: ({ bytes }) => bytesText(bytes) },
                {
                  title: 'Changes',
                  cell: ({ added, changed, deleted }) => `+${added} ~${changed} −${deleted}`,
                },
                { title: 'By', cell: ({ by }) => by },
                { title: 'When', cell: ({ createdAt }) => whenText(createdAt) },
                {
                  title: '',
                  cell: (release) =>
                    release.isHeld && release.status === 'superseded' ? (
                      <Button onClick={() => setTarget(release)}>
                        Roll back to it
                        <span class="unseen"> of {whenText(release.createdAt)}</span>
                      </Button>
                    ) : null,
                },
              ]}
            />
          )
        }
      </Loaded>
      {target !== undefined && (
        <Confirm
          title="Roll back to this release?"
          action="Roll back"
          onClose={() => setTarget(undefined)}
          onConfirm={() => void rollback(target)}
        >
          <p>
            All {target.objects} objects of it are served again at one moment; what is served now
            stays stored, and can be rolled forward to.
          </p>
        </Confirm>
      )}
    </Card>
  );
}

function Pushes() {
  const asked = useApi<{ items: readonly Push[] }>('/v1/pushes', { limit: 50 }, 2_000);
  const cancel = async ({ id }: Push): Promise<void> => {
    const path = `/v1/pushes/${encodeURIComponent(id)}/cancel`;
    await doing(() => call(path, { method: 'POST' }), 'The push is cancelled');
    asked.again();
  };
  return (
    <Card title="Pushes">
      <Loaded asked={asked}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="Nothing was pushed yet">
              <code>canopy push URL…</code> has caches fetch ahead.
            </Empty>
          ) : (
            <Table
              caption="Pushes"
              rows={items}
              keyOf={({ id }) => id}
              columns={[
                {
                  title: 'State',
                  cell: ({ status }) => <Badge tone={TONES[status] ?? 'plain'}>{status}</Badge>,
                },
                { title: 'Sites', cell: ({ sites: names }) => names.join(', ') },
                { title: 'URLs', numeric: true, cell: ({ urls }) => countText(urls) },
                {
                  title: 'Nodes',
                  cell: ({ nodes }) => (
                    <Progress
                      label="Nodes that are done"
                      done={nodes.filter(({ status }) => status !== 'pending').length}
                      of={nodes.length}
                    />
                  ),
                },
                {
                  title: 'Failed',
                  numeric: true,
                  cell: ({ nodes }) => nodes.reduce((sum, { failed }) => sum + failed, 0),
                },
                { title: 'When', cell: ({ createdAt }) => whenText(createdAt) },
                {
                  title: '',
                  cell: (push) =>
                    push.status === 'running' ? (
                      <Button onClick={() => void cancel(push)}>
                        Cancel<span class="unseen"> of {whenText(push.createdAt)}</span>
                      </Button>
                    ) : null,
                },
              ]}
            />
          )
        }
      </Loaded>
    </Card>
  );
}
