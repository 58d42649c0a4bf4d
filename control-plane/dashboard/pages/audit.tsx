import { useState } from 'preact/hooks';
import { useApi } from '../api.ts';
import { momentText } from '../format.ts';
import { Badge } from '../ui/badge.tsx';
import { Button } from '../ui/form.tsx';
import { Card, PageHead } from '../ui/page.tsx';
import { Empty, Loaded } from '../ui/states.tsx';
import { Table } from '../ui/table.tsx';

interface Entry {
  readonly id: string;
  readonly at: number;
  readonly token: string | null;
  readonly address: string;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly code: string | null;
  readonly sequences: readonly number[];
}

export function Audit() {
  const [after, setAfter] = useState<string>();
  const asked = useApi<{ items: readonly Entry[]; next: string | null }>('/v1/audit', {
    limit: 50,
    after,
  });
  return (
    <>
      <PageHead title="Audit" lead="Who changed what, and what was refused, the latest first." />
      <Card>
        <Loaded asked={asked}>
          {({ items, next }) => (
            <>
              {items.length === 0 ? (
                <Empty title="Nothing was changed yet" />
              ) : (
                <Table
                  caption="Audit"
                  rows={items}
                  keyOf={({ id }) => id}
                  columns={[
                    { title: 'When', cell: ({ at }) => momentText(at) },
                    { title: 'Token', cell: ({ token }) => token ?? '–' },
                    { title: 'From', cell: ({ address }) => address },
                    {
                      title: 'Call',
                      cell: ({ method, path }) => <code>{`${method} ${path}`}</code>,
                    },
                    {
                      title: 'Answer',
                      cell: ({ status, code }) => (
                        <Badge tone={status < 400 ? 'good' : 'bad'}>
                          {status} {code}
                        </Badge>
                      ),
                    },
                    {
                      title: 'Journal',
                      numeric: true,
                      cell: ({ sequences }) => sequences.join(', '),
                    },
                  ]}
                />
              )}
              <div class="actions">
                {after !== undefined && (
                  <Button onClick={() => setAfter(undefined)}>The latest</Button>
                )}
                {next !== null && <Button onClick={() => setAfter(next)}>Older</Button>}
              </div>
            </>
          )}
        </Loaded>
      </Card>
    </>
  );
}
