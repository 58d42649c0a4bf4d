import type { Command } from 'commander';
import type { Site } from '#core/contract/site.ts';
import { CanopyError } from '#core/errors.ts';
import { connect, type ConnectionOptions, withConnection } from '../connection.ts';
import { readDocument } from '../document.ts';
import { print, table } from '../output.ts';

interface ReasonOptions extends ConnectionOptions {
  readonly reason?: string;
}

export function addSites(program: Command): void {
  const sites = program.command('sites').description('the sites that the network serves');

  withConnection(sites.command('list').description('every site')).action(
    async (options: ConnectionOptions) => {
      const all = await (await connect(options)).sites();
      print(options.json, all, () => table(['name', 'hosts', 'origin'], all.map(row)));
    },
  );

  withConnection(
    sites.command('get').argument('<name>').description('one site with all its settings'),
  ).action(async (name: string, options: ConnectionOptions) => {
    // A site's settings are a document either way.
    print(true, await (await connect(options)).site(name), () => '');
  });

  withConnection(
    sites
      .command('put')
      .argument('<file>', 'JSON or YAML with a `name`')
      .description('create or replace a site')
      .option('--reason <text>', 'why, for the history'),
  ).action(async (file: string, options: ReasonOptions) => {
    const document = await readDocument(file);
    const answer = await (
      await connect(options)
    ).putSite(nameIn(document, file), document, options.reason);
    print(options.json, answer, () => `${answer.site.name} is at sequence ${answer.sequence}`);
  });

  withConnection(
    sites
      .command('delete')
      .argument('<name>')
      .description('stop serving a site')
      .option('--reason <text>', 'why, for the history'),
  ).action(async (name: string, options: ReasonOptions) => {
    await (await connect(options)).deleteSite(name, options.reason);
    print(options.json, { deleted: name }, () => `${name} is deleted`);
  });
}

const row = ({ name, hosts, origin }: Site): readonly string[] => [
  name,
  hosts.join(' '),
  origin.kind === 'push' ? 'push' : origin.servers.map((server) => server.url).join(' '),
];

function nameIn(document: unknown, file: string): string {
  if (typeof document === 'object' && document !== null && 'name' in document) {
    if (typeof document.name === 'string') return document.name;
  }
  throw new CanopyError('invalid-input', `Invalid site ${file}: name: expected string`);
}
