import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { nameSchema, sequenceSchema } from '#core/contract/names.ts';
import { type Site, siteSchema } from '#core/contract/site.ts';
import { CanopyError } from '#core/errors.ts';
import { changeSites } from '#core/node/config.ts';
import { withoutSecrets, withSecrets } from '../config/secrets.ts';
import { type Finding, findingSchema } from '../config/findings.ts';
import { mayReach } from './access.ts';
import { wroteVersion } from './audit.ts';
import { catchUpFor, entityTagOf, requireUnchanged, sendTagged } from './conditions.ts';
import { authorOf, reasonSchema } from './config.ts';
import { withName } from './named.ts';
import { pageByName, pageOf, pageQuerySchema } from './pages.ts';
import { route } from './route.ts';
import type { Services } from './services.ts';

const params = z.strictObject({ site: nameSchema });

/** Why, for the history. */
const query = z.strictObject({ reason: reasonSchema.optional() });

/** As it is written: the name may be left to the path. */
const siteBodySchema = siteSchema.partial({ name: true }).meta({ title: 'site' });

/** `version`: that of the sites which it made; `null`: nothing was changed. */
const changedSchema = z.strictObject({
  sequence: sequenceSchema,
  version: z.int().min(1).nullable(),
});
const siteAnswerSchema = changedSchema.extend({
  site: siteSchema,
  findings: z.array(findingSchema),
});

export function siteRoutes(app: FastifyInstance, { access, journal, versions }: Services): void {
  route(
    app,
    {
      method: 'GET',
      path: '/v1/sites',
      id: 'listSites',
      summary: 'The sites that the token extends to, by name',
      admits: access.toSites('read'),
      query: pageQuerySchema,
      answers: { 200: pageOf(siteSchema) },
    },
    async (request) => {
      const reached = journal.config.sites.filter(({ name }) => mayReach(request, name));
      return pageByName(reached.map(withoutSecrets), request.query);
    },
  );

  route(
    app,
    {
      method: 'GET',
      path: '/v1/sites/:site',
      id: 'getSite',
      summary: 'A site with all its settings',
      admits: access.toSites('read'),
      params,
      answers: { 200: siteSchema, 304: null },
      conditional: true,
    },
    async (request, reply) => {
      const site = findSite(journal.config.sites, request.params.site);
      return sendTagged(request, reply, site, withoutSecrets(site));
    },
  );

  route(
    app,
    {
      method: 'PUT',
      path: '/v1/sites/:site',
      id: 'putSite',
      summary: 'Create or replace a site',
      admits: access.toSites('configure'),
      params,
      query,
      body: siteBodySchema,
      answers: { 200: siteAnswerSchema, 201: siteAnswerSchema },
      errors: ['conflict'],
      conditional: true,
    },
    async (request, reply) => {
      let site = withName('site', request.params.site, request.body);
      let created = false;
      await catchUpFor(request, journal);
      const { findings, version } = await versions.propose({
        author: authorOf(request),
        reason: request.query.reason,
        plan: (sites) => {
          const present = sites.find(({ name }) => name === site.name);
          requireUnchanged(request, present);
          created = present === undefined;
          site = withSecrets(site, present);
          return changeSites(sites, { put: [site], delete: [] });
        },
        check: (found) => requireOwnHosts(request, found),
      });
      reply.code(created ? 201 : 200).header('etag', entityTagOf(site));
      const sequence = wroteVersion(request, version) ?? journal.config.sequence;
      return {
        site: withoutSecrets(site),
        sequence,
        version: version?.number ?? null,
        findings: [...findings],
      };
    },
  );

  route(
    app,
    {
      method: 'DELETE',
      path: '/v1/sites/:site',
      id: 'deleteSite',
      summary: 'Stop serving a site',
      admits: access.toSites('configure'),
      params,
      query,
      answers: { 200: changedSchema },
      errors: ['conflict'],
      conditional: true,
    },
    async (request) => {
      const { site: name } = request.params;
      await catchUpFor(request, journal);
      const { version } = await versions.propose({
        author: authorOf(request),
        reason: request.query.reason,
        plan: (sites) => {
          requireUnchanged(request, findSite(sites, name));
          return changeSites(sites, { put: [], delete: [name] });
        },
      });
      const sequence = wroteVersion(request, version) ?? journal.config.sequence;
      return { sequence, version: version?.number ?? null };
    },
  );
}

/** @throws CanopyError `forbidden` if a token of some sites only would take hosts from others */
function requireOwnHosts({ token }: FastifyRequest, findings: readonly Finding[]): void {
  const taken = findings.find(({ kind }) => kind === 'host-taken');
  if (taken === undefined || token?.sites === null) return;
  throw new CanopyError('forbidden', `${taken.message}; this concerns the whole network`);
}

function findSite(sites: readonly Site[], name: string): Site {
  const site = sites.find((candidate) => candidate.name === name);
  if (site === undefined) throw new CanopyError('not-found', `There is no site "${name}"`);
  return site;
}
