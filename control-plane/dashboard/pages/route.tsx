import { useState } from 'preact/hooks';
import { call, Problem, useApi } from '../api.ts';
import { durationText } from '../format.ts';
import { Badge } from '../ui/badge.tsx';
import { Button, Field } from '../ui/form.tsx';
import { Card, PageHead } from '../ui/page.tsx';
import { ProblemNotice } from '../ui/states.tsx';
import { Table } from '../ui/table.tsx';
import { type MapPlace, WorldMap } from '../ui/world-map.tsx';
import { type NodeStatus, stateOf } from './node-state.ts';

interface Near {
  readonly node: string;
  readonly roundTripMs: number | null;
  readonly by: string;
}

interface Explanation {
  readonly client: {
    readonly address: string;
    readonly network: string;
    readonly country: string | null;
    readonly asn: number | null;
    readonly point: { readonly latitude: number; readonly longitude: number } | null;
  };
  readonly steps: readonly {
    readonly step: string;
    readonly dropped: readonly { readonly node: string; readonly reason: string }[];
  }[];
  readonly isLastResort: boolean;
  readonly chosen: readonly Near[];
  readonly ranked: readonly Near[];
  readonly scope: string;
}

/** Which edges a client is sent to, and why not to the others. */
export function Route() {
  const [client, setClient] = useState('');
  const [chosenSite, setSite] = useState('');
  const [explanation, setExplanation] = useState<Explanation>();
  const [problem, setProblem] = useState<Problem>();
  const [isAsking, setAsking] = useState(false);
  const sites = useApi<{ items: readonly { readonly name: string }[] }>('/v1/sites', {
    limit: 1000,
  });
  const nodes = useApi<{ items: readonly NodeStatus[] }>('/v1/nodes', { limit: 1000 }, 5_000);
  const names = (sites.content?.items ?? []).map(({ name }) => name);
  const site = chosenSite === '' ? (names[0] ?? '') : chosenSite;
  const ask = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    setAsking(true);
    try {
      setExplanation(await call<Explanation>('/v1/explain/route', { query: { site, client } }));
      setProblem(undefined);
    } catch (error) {
      setExplanation(undefined);
      setProblem(error instanceof Problem ? error : new Problem({ detail: String(error) }, 0));
    }
    setAsking(false);
  };
  return (
    <>
      <PageHead
        title="Routing"
        lead="Which edges a client is sent to, and why not to the others."
      />
      <Card>
        <form class="form" onSubmit={(event) => void ask(event)}>
          <div class="columns">
            <Field label="Client" hint="An address or network, such as 81.2.69.160">
              {(props) => (
                <input
                  {...props}
                  required
                  value={client}
                  onInput={({ currentTarget }) => setClient(currentTarget.value)}
                />
              )}
            </Field>
            <Field label="Site">
              {(props) => (
                <select
                  {...props}
                  value={site}
                  onChange={({ currentTarget }) => setSite(currentTarget.value)}
                >
                  {names.map((name) => (
                    <option value={name} key={name}>
                      {name}
                    </option>
                  ))}
                </select>
              )}
            </Field>
          </div>
          <div class="actions">
            <Button kind="primary" type="submit" busy={isAsking}>
              Show the way
            </Button>
          </div>
        </form>
      </Card>
      {problem !== undefined && <ProblemNotice problem={problem} />}
      {explanation !== undefined && (
        <Answer explanation={explanation} nodes={nodes.content?.items ?? []} />
      )}
    </>
  );
}

function Answer({
  explanation,
  nodes,
}: {
  explanation: Explanation;
  nodes: readonly NodeStatus[];
}) {
  const { client, steps, chosen, ranked, scope, isLastResort } = explanation;
  const { address, network, country, asn, point } = client;
  const names = new Set(chosen.map(({ node }) => node));
  const edges = nodes.filter(({ tier }) => tier === 'edge');
  const places = edges.map((node): MapPlace => {
    const [tone, text] = stateOf(node);
    const isChosen = names.has(node.name);
    return {
      name: node.name,
      latitude: node.location.latitude,
      longitude: node.location.longitude,
      tone: isChosen ? tone : 'plain',
      weight: isChosen ? 0.4 : 0,
      about: `${text}, ${isChosen ? 'chosen' : 'not chosen'}`,
    };
  });
  const dropped = steps.flatMap(({ step, dropped: out }) =>
    out.map(({ node, reason }) => ({ step, node, reason })),
  );
  const here: readonly MapPlace[] =
    point === null ? [] : [{ ...point, name: 'client', tone: 'busy', weight: 0.1, about: address }];
  const lines =
    point === null
      ? []
      : edges
          .filter(({ name }) => names.has(name))
          .map(({ location }) => ({ from: point, to: location }));
  return (
    <>
      {isLastResort && <p class="notice warn">No edge is well: these are the least bad.</p>}
      <Card title={`${address}: ${[...names].join(', ') || 'no edge'}`}>
        <p class="hint">
          Of {network}
          {country !== null && `, ${country}`}
          {asn !== null && `, AS${asn}`}; all of {scope} get this answer.
        </p>
        <WorldMap label="The client and the edges" places={[...here, ...places]} lines={lines} />
      </Card>
      <Card title="Edges by nearness">
        <Table
          caption="Edges by nearness"
          rows={ranked}
          keyOf={({ node }) => node}
          columns={[
            { title: 'Edge', cell: ({ node }) => node },
            {
              title: 'Chosen',
              cell: ({ node }) =>
                names.has(node) ? <Badge tone="good">yes</Badge> : <Badge tone="plain">no</Badge>,
            },
            {
              title: 'Round trip',
              numeric: true,
              cell: ({ roundTripMs }) => durationText(roundTripMs),
            },
            { title: 'Known by', cell: ({ by }) => by },
          ]}
        />
      </Card>
      {dropped.length > 0 && (
        <Card title="Left out on the way">
          <Table
            caption="Edges left out"
            rows={dropped}
            keyOf={({ step, node }) => `${step} ${node}`}
            columns={[
              { title: 'Step', cell: ({ step }) => step },
              { title: 'Edge', cell: ({ node }) => node },
              { title: 'Why', cell: ({ reason }) => reason },
            ]}
          />
        </Card>
      )}
    </>
  );
}
