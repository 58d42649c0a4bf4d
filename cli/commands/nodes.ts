import type { Command } from 'commander';
import type { NodeStatus } from '../api-types.ts';
import { connect, type ConnectionOptions, withConnection } from '../connection.ts';
import { print, table } from '../output.ts';
import { formatSize } from '../size.ts';

export function addNodes(program: Command): void {
  withConnection(program.command('nodes').description('every node and how it is')).action(
    async (options: ConnectionOptions) => {
      const nodes = await (await connect(options)).nodes();
      print(options.json, nodes, () => table(HEADINGS, nodes.map(row)));
    },
  );
}

const HEADINGS = [
  'name',
  'tier',
  'location',
  'url',
  'in service',
  'fence',
  'requests',
  'hits',
  'connections',
  'stored',
] as const;

function row(node: NodeStatus): readonly (string | number)[] {
  const load = node.lastHeartbeat?.load;
  return [
    node.name,
    node.tier,
    node.location.name,
    node.url,
    node.inService ? 'yes' : 'no',
    node.fence,
    load?.requests ?? '-',
    load?.hits ?? '-',
    load?.connections ?? '-',
    load === undefined ? '-' : formatSize(load.storedBytes),
  ];
}
