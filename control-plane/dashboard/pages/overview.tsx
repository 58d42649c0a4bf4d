import { useState } from 'preact/hooks';
import { useApi } from '../api.ts';
import { bytesText, countText, durationText, shareText } from '../format.ts';
import { offloadOf, perSecond, shares, type TrafficAnswer, type TrafficGroup } from '../traffic.ts';
import { type Line, Chart } from '../ui/chart.tsx';
import { Field } from '../ui/form.tsx';
import { Card, PageHead, Stat, Stats } from '../ui/page.tsx';
import { Empty, Loaded } from '../ui/states.tsx';
import { Table } from '../ui/table.tsx';
import { type MapPlace, WorldMap } from '../ui/world-map.tsx';
import { type NodeStatus, stateOf } from './node-state.ts';

const EVERY_MS = 5_000;

const SPANS = {
  '10 minutes': { stepSeconds: 10, points: 60 },
  '30 minutes': { stepSeconds: 30, points: 60 },
  'an hour': { stepSeconds: 60, points: 60 },
} as const;
type Span = keyof typeof SPANS;

const GROUPS = { site: 'Site', location: 'Location', node: 'Node' } as const;
type GroupBy = keyof typeof GROUPS;

export function Overview() {
  const [span, setSpan] = useState<Span>('10 minutes');
  const [site, setSite] = useState('');
  const [location, setLocation] = useState('');
  const [tier, setTier] = useState('edge');
  const window = SPANS[span];
  const part = {
    ...window,
    ...(site !== '' && { site }),
    ...(location !== '' && { location }),
  };
  const all = useApi<TrafficAnswer>('/v1/traffic', { ...part, tier }, EVERY_MS);
  const tiers = useApi<TrafficAnswer>('/v1/traffic', { ...window, by: 'tier' }, EVERY_MS);
  const nodes = useApi<{ items: readonly NodeStatus[] }>('/v1/nodes', { limit: 1000 }, EVERY_MS);
  const places = useApi<TrafficAnswer>('/v1/traffic', { ...window, by: 'location' }, EVERY_MS);
  const sites = useApi<{ items: readonly { name: string }[] }>('/v1/sites', { limit: 1000 });
  const items = nodes.content?.items ?? [];
  const locations = [...new Set(items.map((node) => node.location.name))].toSorted();
  return (
    <>
      <PageHead title="Overview" lead="What the network serves, and how its nodes are.">
        <Choice label="Site" value={site} onChange={setSite}>
          {['', ...(sites.content?.items ?? []).map(({ name }) => name)]}
        </Choice>
        <Choice label="Location" value={location} onChange={setLocation}>
          {['', ...locations]}
        </Choice>
        <Choice label="Tier" value={tier} onChange={setTier}>
          {['edge', 'mid-tier']}
        </Choice>
        <Choice label="Last" value={span} onChange={(value) => setSpan(value as Span)}>
          {Object.keys(SPANS)}
        </Choice>
      </PageHead>
      <Loaded asked={all}>
        {({ groups: [group], from, stepMs }) =>
          group === undefined ? null : (
            <Traffic
              group={group}
              from={from}
              stepMs={stepMs}
              seconds={window.stepSeconds * window.points}
              offload={offloadOf(tiers.content?.groups ?? [])}
            />
          )
        }
      </Loaded>
      <Card title="Nodes in the world">
        <WorldMap label="Locations" places={mapPlaces(items, places.content?.groups ?? [])} />
      </Card>
      <Breakdown window={{ ...part, tier }} />
    </>
  );
}

const Choice = ({
  label,
  value,
  onChange,
  children,
}: {
  label: string;
  value: string;
  onChange: (value: string) => void;
  children: readonly string[];
}) => (
  <Field label={label}>
    {(props) => (
      <select
        {...props}
        value={value}
        onChange={({ currentTarget }) => onChange(currentTarget.value)}
      >
        {children.map((one) => (
          <option value={one} key={one}>
            {one === '' ? 'All' : one}
          </option>
        ))}
      </select>
    )}
  </Field>
);

function Traffic({
  group: { total, series },
  from,
  stepMs,
  seconds,
  offload,
}: {
  group: TrafficGroup;
  from: number;
  stepMs: number;
  seconds: number;
  offload: number | null;
}) {
  const { requests, hits } = total;
  const rates = (counts: readonly (number | null)[]) => perSecond(counts, stepMs);
  const charts: readonly (readonly [string, readonly Line[], (value: number) => string])[] = [
    [
      'Requests per second',
      [
        { label: 'All', colour: '--busy', values: rates(series.requests), filled: true },
        { label: 'Hits', colour: '--good', values: rates(series.hits) },
        { label: 'Errors', colour: '--bad', values: rates(series.errors) },
      ],
      countText,
    ],
    [
      'Hit ratio',
      [
        { label: 'By request', colour: '--good', values: shares(series.hits, series.requests) },
        { label: 'By byte', colour: '--busy', values: shares(series.hitBytes, series.bytesSent) },
      ],
      shareText,
    ],
    [
      'Time to first byte',
      [
        { label: 'p50', colour: '--good', values: series.p50Ms },
        { label: 'p90', colour: '--busy', values: series.p90Ms },
        { label: 'p99', colour: '--warn', values: series.p99Ms },
      ],
      durationText,
    ],
    [
      'Sent per second',
      [{ label: 'Bytes', colour: '--busy', values: rates(series.bytesSent), filled: true }],
      bytesText,
    ],
  ];
  return (
    <>
      <Card>
        <Stats>
          <Stat label="Requests" value={requests === null ? '–' : countText(requests)} />
          <Stat
            label="Hit ratio"
            value={shareText(requests === null ? null : (hits ?? 0) / requests)}
          />
          <Stat label="Median to first byte" value={durationText(total.p50Ms)} />
          <Stat label="99th percentile" value={durationText(total.p99Ms)} />
          <Stat
            label="Sent"
            value={total.bytesSent === null ? '–' : `${bytesText(total.bytesSent / seconds)}/s`}
          />
          <Stat label="Errors" value={total.errors === null ? '–' : countText(total.errors)} />
          <Stat label="Origin offload" value={shareText(offload)} note="of the whole network" />
        </Stats>
        {requests === null && (
          <p class="hint">Nothing was served in this time, or nobody has reported it yet.</p>
        )}
      </Card>
      <div class="columns">
        {charts.map(([label, lines, text]) => (
          <Card key={label}>
            <Chart label={label} from={from} stepMs={stepMs} lines={lines} text={text} />
          </Card>
        ))}
      </div>
    </>
  );
}

function Breakdown({ window }: { window: Record<string, string | number> }) {
  const [by, setBy] = useState<GroupBy>('site');
  const asked = useApi<TrafficAnswer>('/v1/traffic', { ...window, by }, EVERY_MS);
  const columns = [
    { title: GROUPS[by], cell: ({ name }: TrafficGroup) => name },
    numeric('Requests', ({ total }) => countText(total.requests ?? 0)),
    numeric('Hit ratio', ({ total }) => shareText((total.hits ?? 0) / (total.requests ?? 0))),
    numeric('p50', ({ total }) => durationText(total.p50Ms)),
    numeric('p99', ({ total }) => durationText(total.p99Ms)),
    numeric('Sent', ({ total }) => bytesText(total.bytesSent ?? 0)),
    numeric('Errors', ({ total }) => countText(total.errors ?? 0)),
  ];
  return (
    <Card
      title="Where it is served"
      actions={
        <div class="choices" role="group" aria-label="By">
          {(Object.keys(GROUPS) as GroupBy[]).map((one) => (
            <button type="button" aria-pressed={one === by} onClick={() => setBy(one)} key={one}>
              {GROUPS[one]}
            </button>
          ))}
        </div>
      }
    >
      <Loaded asked={asked}>
        {({ groups }) => {
          const rows = groups.filter(({ total }) => (total.requests ?? 0) > 0);
          return rows.length === 0 ? (
            <Empty title="Nothing was served in this time" />
          ) : (
            <Table
              caption={`Traffic by ${by}`}
              rows={rows}
              keyOf={({ name }) => name}
              columns={columns}
            />
          );
        }}
      </Loaded>
    </Card>
  );
}

const numeric = (title: string, cell: (group: TrafficGroup) => string) => ({
  title,
  cell,
  numeric: true,
});

/** A place for each location, as bad as the worst of its nodes. */
function mapPlaces(
  nodes: readonly NodeStatus[],
  traffic: readonly TrafficGroup[],
): readonly MapPlace[] {
  const most = Math.max(1, ...traffic.map(({ total }) => total.requests ?? 0));
  return [...Map.groupBy(nodes, ({ location }) => location.name)].flatMap(([name, here]) => {
    const [first] = here;
    if (first === undefined) return [];
    const states = here.map(stateOf);
    const worst = states.find(([tone]) => tone !== 'good') ?? states[0];
    const requests = traffic.find((group) => group.name === name)?.total.requests ?? 0;
    return [
      {
        name,
        latitude: first.location.latitude,
        longitude: first.location.longitude,
        tone: worst?.[0] ?? 'plain',
        weight: requests / most,
        about: `${here.map(({ tier }) => tier).join(', ')}, ${worst?.[1]}, ${countText(requests)} requests`,
      },
    ];
  });
}
