import { call, useApi } from '../api.ts';
import { bytesText, countText, whenText } from '../format.ts';
import { Badge } from '../ui/badge.tsx';
import { Button } from '../ui/form.tsx';
import { Card, PageHead } from '../ui/page.tsx';
import { Empty, Loaded } from '../ui/states.tsx';
import { Table } from '../ui/table.tsx';
import { doing } from '../ui/toasts.tsx';
import { type NodeStatus, stateOf } from './node-state.ts';

export function Nodes() {
  const asked = useApi<{ items: readonly NodeStatus[] }>('/v1/nodes', { limit: 1000 }, 2_000);
  const health = useApi<{ sequence: number }>('/v1/health', {}, 2_000);
  const drain = async ({ name, draining }: NodeStatus): Promise<void> => {
    const verb = draining ? 'resume' : 'drain';
    const done = draining ? 'is taken back' : 'is asked nothing new';
    const path = `/v1/nodes/${encodeURIComponent(name)}/${verb}`;
    await doing(() => call(path, { method: 'POST' }), `${name} ${done}`);
    asked.again();
  };
  const lag = ({ fence }: NodeStatus): number =>
    Math.max(0, (health.content?.sequence ?? fence) - fence);
  return (
    <>
      <PageHead title="Nodes" lead="Every process that serves or routes, as it last reported." />
      <Loaded asked={asked}>
        {({ items }) => (
          <Card>
            {items.length === 0 ? (
              <Empty title="No node is enrolled yet">
                <code>canopy nodes enrol NAME</code> makes a token for the first start of one.
              </Empty>
            ) : (
              <Table
                caption="Nodes"
                rows={items}
                keyOf={({ name }) => name}
                columns={[
                  { title: 'Node', cell: ({ name }) => name },
                  { title: 'Tier', cell: ({ tier }) => tier },
                  { title: 'Location', cell: ({ location }) => location.name },
                  {
                    title: 'State',
                    cell: (node) => {
                      const [tone, text] = stateOf(node);
                      return <Badge tone={tone}>{text}</Badge>;
                    },
                  },
                  { title: 'Lag', numeric: true, cell: (node) => lag(node) },
                  {
                    title: 'Requests',
                    numeric: true,
                    cell: ({ lastHeartbeat: last }) => (last ? countText(last.load.requests) : '–'),
                  },
                  {
                    title: 'Stored',
                    numeric: true,
                    cell: ({ lastHeartbeat: last }) =>
                      last ? bytesText(last.load.storedBytes) : '–',
                  },
                  {
                    title: 'Version',
                    cell: ({ lastHeartbeat: last }) => last?.version ?? '–',
                  },
                  {
                    title: 'Heard',
                    cell: ({ lastHeartbeat: last }) => (last ? whenText(last.at) : 'never'),
                  },
                  {
                    title: '',
                    cell: (node) => (
                      <Button onClick={() => void drain(node)}>
                        {node.draining ? 'Resume' : 'Drain'}
                        <span class="unseen"> {node.name}</span>
                      </Button>
                    ),
                  },
                ]}
              />
            )}
          </Card>
        )}
      </Loaded>
    </>
  );
}
