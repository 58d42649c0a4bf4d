import { readFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { CanopyError, messageOf } from '#core/errors.ts';
import type { RouteExplanation, RouteSimulation } from '../api-types.ts';
import { connect, type ConnectionOptions, withConnection } from '../connection.ts';
import { print, table } from '../output.ts';

interface ExplainOptions extends ConnectionOptions {
  readonly client: string;
  readonly site: string;
  readonly family?: '4' | '6';
}

interface SimulateOptions extends ConnectionOptions {
  readonly site: string;
  readonly without: readonly string[];
  readonly clients: string;
}

export function addExplainRoute(explain: Command): void {
  withConnection(
    explain
      .command('route')
      .description('which edges a client is sent to, and why not to the others')
      .requiredOption('--client <address>', 'an IP address or network')
      .requiredOption('--site <name>', 'the site that it asks for')
      .addOption(new Option('--family <n>', 'only edges with such an address').choices(['4', '6'])),
  ).action(async (options: ExplainOptions) => {
    const { site, client, family } = options;
    const explanation = await (await connect(options)).explainRoute(site, client, family);
    print(options.json, explanation, () => explanationText(explanation));
  });
}

export function addRoute(program: Command): void {
  const route = program.command('route').description('where clients are sent');
  withConnection(
    route
      .command('simulate')
      .description('who would go where without some edges, and which edges that would overload')
      .requiredOption('--site <name>', 'the site that clients ask for')
      .requiredOption('--without <node...>', 'edges that are gone')
      .requiredOption(
        '--clients <file>',
        'a line each: an address or network, and its requests per second (default 1)',
      ),
  ).action(async (options: SimulateOptions) => {
    const { site, without, clients: file } = options;
    const clients = readClients(file, await textOf(file));
    const simulation = await (await connect(options)).simulateRoute({ site, without, clients });
    print(options.json, simulation, () => simulationText(simulation));
  });
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new CanopyError('invalid-input', `Cannot read ${file}: ${messageOf(cause)}`, { cause });
  }
}

/**
 * Clients of a simulation; empty lines and what follows a `#` do not count.
 * @throws CanopyError `invalid-input` naming the line
 */
export function readClients(
  file: string,
  text: string,
): readonly { readonly client: string; readonly requestsPerSecond: number }[] {
  return text.split('\n').flatMap((line, i) => {
    const [client, rate = '1', ...more] = line
      .replace(/#.*/, '')
      .trim()
      .split(/[\s,]+/);
    if (client === undefined || client === '') return [];
    const requestsPerSecond = Number(rate);
    if (more.length === 0 && requestsPerSecond >= 0) return [{ client, requestsPerSecond }];
    throw new CanopyError(
      'invalid-input',
      `${file}:${i + 1}: expected an address and a number, received ${JSON.stringify(line)}`,
    );
  });
}

function explanationText({
  client,
  steps,
  ranked,
  chosen,
  scope,
  isLastResort,
}: RouteExplanation): string {
  const { address, network, country, asn, placedBy, point } = client;
  const where = point === null ? 'nowhere known' : `${point.latitude}, ${point.longitude}`;
  const names = new Set(chosen.map(({ node }) => node));
  return [
    `${address} is of ${network}${country === null ? '' : `, ${country}`}${asn === null ? '' : `, AS${asn}`}; placed at ${where} (${placedBy}).`,
    ...(isLastResort ? ['No edge is well: these are the least bad.'] : []),
    '',
    table(
      ['step', 'dropped', 'reason'],
      steps.flatMap(({ step, dropped }) =>
        dropped.length === 0
          ? [[step, '-', '-']]
          : dropped.map(({ node, reason }) => [step, node, reason]),
      ),
    ),
    '',
    table(
      ['edge', 'round trip', 'by', 'chosen'],
      ranked.map(({ node, roundTripMs, by, measured }) => [
        node,
        roundTripMs === null ? '-' : `${roundTripMs} ms`,
        measured ? `${by} of ${measured.of} (${samplesText(measured)})` : by,
        names.has(node) ? 'yes' : 'no',
      ]),
    ),
    '',
    `All of ${scope} get this answer.`,
  ].join('\n');
}

const samplesText = ({ level, samples }: { level: string; samples: number }): string =>
  level === 'network' ? `${samples} measurements` : `${samples} networks agree`;

function simulationText({ clients, moved, moves, edges }: RouteSimulation): string {
  return [
    `${moved} of ${clients} clients move.`,
    '',
    table(
      ['from', 'to', 'clients', 'requests/s'],
      moves.map(({ from, to, clients: count, requestsPerSecond }) => [
        from ?? 'nobody',
        to ?? 'nobody',
        count,
        requestsPerSecond,
      ]),
    ),
    '',
    table(
      ['edge', 'before', 'after', 'limit', 'overloads'],
      edges.map(({ node, before, after, limit, overloads }) => [
        node,
        before,
        after,
        limit ?? '-',
        overloads ? 'yes' : 'no',
      ]),
    ),
  ].join('\n');
}
