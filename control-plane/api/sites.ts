import type { FastifyInstance } from 'fastify';
import { isDeepStrictEqual } from 'node:util';
import type { Config } from '#core/contract/event.ts';
import { type Site, siteSchema } from '#core/contract/site.ts';
import { validate } from '#core/contract/validate.ts';
import { CanopyError } from '#core/errors.ts';
import type { Change } from '../journal/journal.ts';
import { mayReach } from './access.ts';
import { withName } from './named.ts';
import type { Services } from './services.ts';

interface Route {
  readonly Params: { readonly site: string };
}

export function siteRoutes(app: FastifyInstance, { access, journal }: Services): void {
  const find = (name: string): Site => findSite(journal.config, name);

  app.route({
    method: 'GET',
    url: '/v1/sites',
    onRequest: access.toSites('read'),
    handler: async (request) => journal.config.sites.filter((site) => mayReach(request, site.name)),
  });

  app.route<Route>({
    method: 'GET',
    url: '/v1/sites/:site',
    onRequest: access.toSites('read'),
    handler: async (request) => find(request.params.site),
  });

  app.route<Route>({
    method: 'PUT',
    url: '/v1/sites/:site',
    onRequest: access.toSites('configure'),
    handler: async (request, reply) => {
      const input = withName('site', request.params.site, request.body);
      const site = validate(siteSchema, input, 'site');
      let created = false;
      await journal.change((config) => {
        created = !config.sites.some(({ name }) => name === site.name);
        return planSitePut(config, site);
      });
      reply.code(created ? 201 : 200);
      return { site, sequence: journal.config.sequence };
    },
  });

  app.route<Route>({
    method: 'DELETE',
    url: '/v1/sites/:site',
    onRequest: access.toSites('configure'),
    handler: async (request) => {
      const { site: name } = request.params;
      await journal.change((config) => {
        findSite(config, name);
        return { entries: [{ type: 'site.delete', name }] };
      });
      return { sequence: journal.config.sequence };
    },
  });
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
