import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { certificateMaterialSchema } from '#core/contract/certificate.ts';
import { nameSchema, sequenceSchema, timestampSchema } from '#core/contract/names.ts';
import { ticketSecretsSchema } from '#core/contract/ticket-secrets.ts';
import { CanopyError } from '#core/errors.ts';
import type { Certificate } from '../certificates/certificates.ts';
import { covers, readCertificate } from '../certificates/read.ts';
import { mayReach, nodeOf } from './access.ts';
import { wrote } from './audit.ts';
import { pageFrom, pageOf, pageQuerySchema } from './pages.ts';
import { route } from './route.ts';
import type { Services } from './services.ts';

const params = z.strictObject({ name: nameSchema });

const MAX_PEM = 128 * 1024;

const bodySchema = z
  .strictObject({
    /** PEM: the certificate, then those between it and its authority. */
    chain: z.string().max(MAX_PEM),
    /** PEM, without a passphrase. It is never shown again. */
    key: z.string().max(MAX_PEM),
    /** The only site that it is presented for. `null`: every site that a name of it leads to. */
    site: nameSchema.nullable().default(null),
    /** Its authority need not be one that browsers know. */
    privateAuthority: z.boolean().default(false),
  })
  .meta({ title: 'certificate' });

const certificateSchema = z.strictObject({
  name: nameSchema,
  site: nameSchema.nullable(),
  source: z.enum(['upload', 'acme']),
  names: z.array(z.string()),
  issuer: z.string(),
  serialNumber: z.string(),
  fingerprint: z.string(),
  keyType: z.string(),
  notBefore: timestampSchema,
  notAfter: timestampSchema,
  createdAt: timestampSchema,
  /** Hosts of sites that it is presented for. */
  hosts: z.array(z.string()),
});

const wholeSchema = certificateSchema.extend({ chain: z.string() });

const changedSchema = z.strictObject({ sequence: sequenceSchema });

/** Certificates of the edges. No answer to a token has a key. */
export function certificateRoutes(app: FastifyInstance, services: Services): void {
  const { access, certificates, clock, journal, ticketSecrets } = services;

  const shown = (certificate: Certificate): z.output<typeof certificateSchema> => {
    const { name, site, source, names, issuer, serialNumber, createdAt } = certificate;
    const { fingerprint, keyType, notBefore, notAfter } = certificate;
    const hosts = journal.config.sites
      .filter((one) => site === null || site === one.name)
      .flatMap((one) => one.hosts)
      .filter((host) => host === '*' || covers(names, host));
    return {
      name,
      site,
      source,
      names: [...names],
      issuer,
      serialNumber,
      fingerprint,
      keyType,
      notBefore,
      notAfter,
      createdAt,
      hosts,
    };
  };

  route(
    app,
    {
      method: 'GET',
      path: '/v1/certificates',
      id: 'listCertificates',
      summary: 'Certificates that the token extends to, by name, without their keys',
      admits: access.toSites('read'),
      query: pageQuerySchema,
      answers: { 200: pageOf(certificateSchema) },
    },
    async (request) => {
      const { limit, after } = request.query;
      const found = await certificates.list(limit + 1, after);
      const page = pageFrom(found, limit, ({ name }) => name);
      return { ...page, items: page.items.filter((one) => isReached(request, one)).map(shown) };
    },
  );

  route(
    app,
    {
      method: 'GET',
      path: '/v1/certificates/:name',
      id: 'getCertificate',
      summary: 'A certificate with its chain, without its key',
      admits: access.toSites('read'),
      params,
      answers: { 200: wholeSchema },
    },
    async (request) => {
      const { name } = request.params;
      const found = await certificates.get(name);
      if (!isReached(request, found)) {
        throw new CanopyError('not-found', `There is no certificate "${name}"`);
      }
      return { ...shown(found), chain: found.chain };
    },
  );

  route(
    app,
    {
      method: 'PUT',
      path: '/v1/certificates/:name',
      id: 'putCertificate',
      summary: 'Take a certificate and its key, or replace those of this name',
      admits: access.toSites('configure'),
      params,
      body: bodySchema,
      answers: { 200: changedSchema.extend({ certificate: certificateSchema }) },
    },
    async (request) => {
      const { site, ...given } = request.body;
      const { name } = request.params;
      requireReached(request, { site });
      const read = readCertificate(given, clock.now());
      const { certificate, events } = await certificates.put(
        { ...read, name, site, source: 'upload' },
        (present) => present && requireReached(request, present),
      );
      const sequence = wrote(request, events) ?? journal.config.sequence;
      return { certificate: shown(certificate), sequence };
    },
  );

  route(
    app,
    {
      method: 'DELETE',
      path: '/v1/certificates/:name',
      id: 'deleteCertificate',
      summary: 'Present a certificate no more, and forget its key',
      admits: access.toSites('configure'),
      params,
      answers: { 200: changedSchema },
    },
    async (request) => {
      const events = await certificates.delete(request.params.name, (present) =>
        requireReached(request, present),
      );
      return { sequence: wrote(request, events) ?? journal.config.sequence };
    },
  );

  route(
    app,
    {
      method: 'GET',
      path: '/v1/node/certificates/:name',
      id: 'fetchCertificate',
      summary: 'A certificate with its key, for an edge that is to present it',
      admits: access.toNode(),
      params,
      answers: { 200: certificateMaterialSchema },
      errors: ['forbidden'],
    },
    async (request) => {
      requireEdge(request);
      return certificates.material(request.params.name);
    },
  );

  route(
    app,
    {
      method: 'GET',
      path: '/v1/node/ticket-secrets',
      id: 'fetchTicketSecrets',
      summary: 'What edges seal session tickets with, now and soon',
      admits: access.toNode(),
      answers: { 200: ticketSecretsSchema },
      errors: ['forbidden'],
    },
    async (request) => {
      requireEdge(request);
      return { secrets: [...(await ticketSecrets.current())] };
    },
  );
}

/** Keys go to nobody else. @throws CanopyError `forbidden` */
function requireEdge(request: FastifyRequest): void {
  const { tier } = nodeOf(request);
  if (tier === 'edge') return;
  throw new CanopyError('forbidden', `Only edges are told keys of TLS, not a ${tier}`);
}

type OfSite = Pick<Certificate, 'site'>;

const isReached = (request: FastifyRequest, { site }: OfSite): boolean =>
  site === null ? request.token?.sites === null : mayReach(request, site);

/** @throws CanopyError `forbidden` if a token of some sites would touch what concerns others */
function requireReached(request: FastifyRequest, certificate: OfSite): void {
  if (isReached(request, certificate)) return;
  const { site } = certificate;
  throw new CanopyError(
    'forbidden',
    site === null
      ? 'The certificate is of no site; this concerns the whole network'
      : `The token does not extend to site "${site}"`,
  );
}
