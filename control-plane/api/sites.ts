import type { FastifyInstance } from 'fastify';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import type { Config } from '#core/contract/event.ts';
import { nameSchema, sequenceSchema } from '#core/contract/names.ts';
import { type Site, siteSchema } from '#core/contract/site.ts';
import { CanopyError } from '#core/errors.ts';
import type { Change } from '../journal/journal.ts';
import { mayReach } from './access.ts';
import { wrote } from './audit.ts';
import { catchUpFor, entityTagOf, requireUnchanged, sendTagged } from './conditions.ts';
import { withName } from './named.ts';
import { pageByName, pageOf, pageQuerySchema } from './pages.ts';
import { route } from './route.ts';
import type { Services } from './services.ts';

const params = z.strictObject({ site: nameSchema });

/** As it is written: the name may be left to the path. */
const siteBodySchema = siteSchema.partial({ name: true }).meta({ title: 'site' });

export function siteRoutes(app: FastifyInstance, { access, journal }: Services): void {
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
      return pageByName(reached, request.query);
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
    async (request, reply) =>
      sendTagged(request, reply, findSite(journal.config, request.params.site)),
  );

  const siteAnswer = z.strictObject({ site: siteSchema, sequence: sequenceSchema });
  route(
    app,
    {
      method: 'PUT',
      path: '/v1/sites/:site',
      id: 'putSite',
      summary: 'Create or replace a site',
      admits: access.toSites('configure'),
      params,
      body: siteBodySchema,
      answers: { 200: siteAnswer, 201: siteAnswer },
      errors: ['conflict'],
      conditional: true,
    },
    async (request, reply) => {
      const site = withName('site', request.params.site, request.body);
      let created = false;
      await catchUpFor(request, journal);
      const events = await journal.change((config) => {
        const present = config.sites.find(({ name }) => name === site.name);
        requireUnchanged(request, present);
        created = present === undefined;
        return planSitePut(config, site);
      });
      reply.code(created ? 201 : 200).header('etag', entityTagOf(site));
      return { site, sequence: wrote(request, events) ?? journal.config.sequence };
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
      answers: { 200: z.strictObject({ sequence: sequenceSchema }) },
      conditional: true,
    },
    async (request) => {
      const { site: name } = request.params;
      await catchUpFor(request, journal);
      const events = await journal.change((config) => {
        requireUnchanged(request, findSite(config, name));
        return { entries: [{ type: 'site.delete', name }] };
      });
      return { sequence: wrote(request, events) };
    },
  );
}

/** @throws CanopyError `conflict` if another site claims one of the hosts */
function planSitePut(config: Config, site: Site): Change {
  const claimed = new Set(site.hosts);
  for (const other of config.sites) {
    const host = other.name === site.name ? undefined : other.hosts.find((h) => claimed.has(h));
    if (host !== undefined) {
      throw new CanopyError(
        'conflict',
        `Host "${host}" of site "${site.name}" is claimed by site "${other.name}"`,
      );
    }
  }
  const present = config.sites.find(({ name }) => name === site.name);
  return { entries: isDeepStrictEqual(present, site) ? [] : [{ type: 'site.put', site }] };
}

function findSite(config: Config, name: string): Site {
  const site = config.sites.find((candidate) => candidate.name === name);
  if (site === undefined) throw new CanopyError('not-found', `There is no site "${name}"`);
  return site;
}
