import type { Command } from 'commander';
import type { NodeStatus } from '../api-types.ts';
import { connect, type ConnectionOptions, withConnection } from '../connection.ts';
import { print, table } from '../output.ts';
import { formatSize } from '../size.ts';

export function addNodes(program: Command): void {
  const nodes = program.command('nodes').description('every node and how it is');
  withConnection(nodes).action(async (options: ConnectionOptions) => {
    const all = await (await connect(options)).nodes();
    print(options.json, all, () => table(HEADINGS, all.map(row)));
  });
  for (const [verb, description, done] of DRAINS) {
    withConnection(nodes.command(verb).argument('<name>').description(description)).action(
      async (name: string, _: ConnectionOptions, command: Command) => {
        const options = command.optsWithGlobals<ConnectionOptions>();
        const answer = await (await connect(options)).drainNode(name, verb);
        print(options.json, answer, () => `${name} ${done}`);
      },
    );
  }
}

const DRAINS = [
  ['drain', 'have a node asked nothing new, before it is stopped', 'is asked nothing new'],
  ['resume', 'use a node that was drained', 'is in use again'],
] as const;

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

const inService = ({ inService: is, draining }: NodeStatus): string =>
  is && draining ? 'draining' : is ? 'yes' : 'no';

function row(node: NodeStatus): readonly (string | number)[] {
  const load = node.lastHeartbeat?.load;
  return [
    node.name,
    node.tier,
    node.location.name,
    node.url,
    inService(node),
    node.fence,
    load?.requests ?? '-',
    load?.hits ?? '-',
    load?.connections ?? '-',
    load === undefined ? '-' : formatSize(load.storedBytes),
  ];
}
