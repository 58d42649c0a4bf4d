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

  addOrders(certificates);

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

interface AuthorityOptions extends ConnectionOptions {
  readonly contact?: readonly string[];
  readonly agreeToTerms: boolean;
  readonly authorityCa?: string;
}

interface OrderOptions extends ConnectionOptions {
  readonly host: readonly string[];
  readonly site?: string;
  readonly challenge: string;
}

/** What has certificates ordered by the network itself (RFC 8555). */
function addOrders(certificates: Command): void {
  withConnection(
    certificates
      .command('authority')
      .argument(
        '<url>',
        'its ACME directory, such as https://acme-v02.api.letsencrypt.org/directory',
      )
      .description('the authority that certificates are ordered from')
      .requiredOption('--agree-to-terms', 'its terms of service are agreed to')
      .option('--contact <mail...>', 'addresses to which it writes')
      .option(
        '--authority-ca <file>',
        "authorities (PEM) that the directory's own certificate is checked by",
      ),
  ).action(async (url: string, options: AuthorityOptions) => {
    const { contact, agreeToTerms, authorityCa } = options;
    const authority = await (
      await connect(options)
    ).setAcmeAuthority({
      directoryUrl: url,
      termsOfServiceAgreed: agreeToTerms,
      ...(contact !== undefined && { contact }),
      ...(authorityCa !== undefined && { ca: await textOf(authorityCa) }),
    });
    print(options.json, authority, () => `Certificates are ordered from ${url}`);
  });

  withConnection(
    certificates
      .command('order')
      .argument('<name>')
      .description('have a certificate ordered, and again before it expires')
      .requiredOption('--host <host...>', 'what it is for; *.HOST needs dns-01')
      .option('--site <name>', 'for this site only, all of whose hosts it must cover')
      .option('--challenge <type>', 'http-01, by any edge, or dns-01, by our routers', 'http-01'),
  ).action(async (name: string, options: OrderOptions) => {
    const { host, site, challenge } = options;
    const order = { names: host, site: site ?? null, challenge };
    const state = await (await connect(options)).orderCertificate(name, order);
    print(
      options.json,
      state,
      () => `${name} is ordered; \`canopy certificates orders\` says how far it is`,
    );
  });

  withConnection(
    certificates.command('orders').description('what is ordered, and what has gone wrong'),
  ).action(async (options: ConnectionOptions) => {
    const all = await (await connect(options)).certificateOrders();
    print(options.json, all, () =>
      table(
        ['name', 'hosts', 'challenge', 'due', 'failures', 'error'],
        all.map((order) => [
          order.name,
          order.names.join(' '),
          order.challenge,
          time(order.dueAt),
          String(order.failures),
          order.error ?? '',
        ]),
      ),
    );
  });

  withConnection(
    certificates
      .command('cancel')
      .argument('<name>')
      .description('order a certificate no more; the one that is there stays'),
  ).action(async (name: string, options: ConnectionOptions) => {
    await (await connect(options)).cancelCertificateOrder(name);
    print(options.json, { cancelled: name }, () => `${name} is not renewed any more`);
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
