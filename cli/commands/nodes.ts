import { type Command, InvalidArgumentError } from 'commander';
import { type Location, locationSchema } from '#core/contract/node.ts';
import type { NodeStatus } from '../api-types.ts';
import { connect, type ConnectionOptions, optionsOf, withConnection } from '../connection.ts';
import { duration } from '../duration.ts';
import { print, table, time } from '../output.ts';
import { formatSize } from '../size.ts';

export function addNodes(program: Command): void {
  const nodes = program.command('nodes').description('every node and how it is');
  withConnection(nodes).action(async (options: ConnectionOptions) => {
    const all = await (await connect(options)).nodes();
    print(options.json, all, () => table(HEADINGS, all.map(row)));
  });
  addEnrol(nodes);
  for (const [verb, description, done] of DRAINS) {
    withConnection(nodes.command(verb).argument('<name>').description(description)).action(
      async (name: string, _: ConnectionOptions, command: Command) => {
        const options = optionsOf(command) as ConnectionOptions;
        const answer = await (await connect(options)).drainNode(name, verb);
        print(options.json, answer, () => `${name} ${done}`);
      },
    );
  }
}

interface EnrolOptions extends ConnectionOptions {
  readonly tier?: string;
  readonly location?: Location;
  readonly url?: string;
  readonly group?: string;
  readonly capacity?: string;
  readonly expires: number;
}

/** A node that is there needs only its name: it gets another credential. */
function addEnrol(nodes: Command): void {
  withConnection(
    nodes
      .command('enrol')
      .argument('<name>')
      .description('make a one-time token for the first start of a node')
      .option('--tier <tier>', 'edge, mid-tier or origin')
      .option('--location <name,lat,lon>', 'such as oslo,59.9,10.7', location)
      .option('--url <url>', 'where clients and other nodes reach it')
      .option('--group <name>', 'the group of mid-tiers that it belongs to, or asks first')
      .option('--capacity <number>', 'its share of the work among others of its tier')
      .option('--expires <duration>', 'how long the token is good', duration, 3_600),
  ).action(async (name: string, _: EnrolOptions, command: Command) => {
    const options = optionsOf(command) as EnrolOptions;
    const { tier, location: place, url, group, capacity, expires } = options;
    const given = { tier, location: place, url, group, capacity: capacity && Number(capacity) };
    const api = await connect(options);
    const opened = await api.openEnrolment({ name, ...given, expiresInSeconds: expires });
    print(options.json, opened, () =>
      [
        opened.token,
        '',
        `It is good once, until ${time(opened.expiresAt)}. On the machine of ${name}:`,
        `  canopy ${opened.node.tier} --enrol TOKEN --control-plane URL --dir DIR`,
      ].join('\n'),
    );
  });
}

function location(text: string): Location {
  const [name = '', latitude, longitude, ...rest] = text.split(',');
  const place = { name, latitude: Number(latitude), longitude: Number(longitude) };
  const read = locationSchema.safeParse(place);
  if (read.success && rest.length === 0 && latitude && longitude) return read.data;
  throw new InvalidArgumentError(
    'Expected a name, latitude and longitude, such as oslo,59.9,10.7.',
  );
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
