import type { Command } from 'commander';
import type { Certificate } from '../api-types.ts';
import { connect, type ConnectionOptions, withConnection } from '../connection.ts';
import { textOf } from '../document.ts';
import { print, table, time } from '../output.ts';

interface PutOptions extends ConnectionOptions {
  readonly cert: string;
  readonly key: string;
  readonly site?: string;
  readonly privateAuthority?: boolean;
}

export function addCertificates(program: Command): void {
  const certificates = program
    .command('certificates')
    .description('what edges prove to clients who they are by');

  withConnection(certificates.command('list').description('every certificate')).action(
    async (options: ConnectionOptions) => {
      const all = await (await connect(options)).certificates();
      print(options.json, all, () => table(HEADINGS, all.map(row)));
    },
  );

  withConnection(
    certificates
      .command('get')
      .argument('<name>')
      .description('one certificate with its chain; its key is never shown'),
  ).action(async (name: string, options: ConnectionOptions) => {
    print(true, await (await connect(options)).certificate(name), () => '');
  });

  withConnection(
    certificates
      .command('put')
      .argument('<name>')
      .description('have edges present a certificate, in place of the one of this name')
      .requiredOption('--cert <file>', 'PEM: the certificate, then those up to its authority')
      .requiredOption('--key <file>', 'its key in PEM, without a passphrase')
      .option('--site <name>', 'for this site only, all of whose hosts it must cover')
      .option('--private-authority', 'of an authority that browsers need not know'),
  ).action(async (name: string, options: PutOptions) => {
    const { cert, key, site, privateAuthority } = options;
    const answer = await (
      await connect(options)
    ).putCertificate(name, {
      chain: await textOf(cert),
      key: await textOf(key),
      site: site ?? null,
      privateAuthority: privateAuthority === true,
    });
    print(options.json, answer, () => presented(answer.certificate));
  });

  withConnection(
    certificates
      .command('delete')
      .argument('<name>')
      .description('present a certificate no more, and forget its key'),
  ).action(async (name: string, options: ConnectionOptions) => {
    await (await connect(options)).deleteCertificate(name);
    print(options.json, { deleted: name }, () => `${name} is deleted`);
  });
}

const HEADINGS = ['name', 'site', 'names', 'source', 'key', 'expires'] as const;

const row = (certificate: Certificate): readonly string[] => [
  certificate.name,
  certificate.site ?? 'all',
  certificate.names.join(' '),
  certificate.source,
  certificate.keyType,
  time(certificate.notAfter),
];

const presented = ({ name, hosts, notAfter }: Certificate): string =>
  `${name} is presented for ${hosts.length === 0 ? 'no host of a site yet' : hosts.join(', ')}; it expires at ${time(notAfter)}`;
