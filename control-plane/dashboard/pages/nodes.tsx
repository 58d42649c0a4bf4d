import { useApi } from '../api.ts';
import { bytesText, countText, whenText } from '../format.ts';
import { Badge, type Tone } from '../ui/badge.tsx';
import { Card, PageHead } from '../ui/page.tsx';
import { Empty, Loaded } from '../ui/states.tsx';
import { Table } from '../ui/table.tsx';

interface NodeStatus {
  readonly name: string;
  readonly tier: string;
  readonly location: { readonly name: string };
  readonly draining: boolean;
  readonly inService: boolean;
  readonly fence: number;
  readonly lastHeartbeat: {
    readonly at: number;
    readonly version: string;
    readonly load: {
      readonly requests: number;
      readonly objects: number;
      readonly storedBytes: number;
    };
  } | null;
}

const stateOf = ({ draining, inService, lastHeartbeat }: NodeStatus): readonly [Tone, string] => {
  if (lastHeartbeat === null) return ['plain', 'unseen'];
  if (!inService) return ['bad', 'lease ended'];
  return draining ? ['warn', 'draining'] : ['good', 'in service'];
};

export function Nodes() {
  const asked = useApi<{ items: readonly NodeStatus[] }>('/v1/nodes', { limit: 1000 }, 2_000);
  return (
    <>
      <PageHead title="Nodes" lead="Every process that serves or routes, as it last reported." />
      <Loaded asked={asked}>
        {({ items }) => (
          <Card>
            {items.length === 0 ? (
              <Empty title="No node is enrolled yet" />
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
                  { title: 'Fence', numeric: true, cell: ({ fence }) => fence },
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
                    title: 'Heard',
                    cell: ({ lastHeartbeat: last }) => (last ? whenText(last.at) : 'never'),
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
