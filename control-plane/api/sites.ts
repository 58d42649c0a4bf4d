import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { type Site, siteSchema } from '#core/contract/site.ts';
import { validate } from '#core/contract/validate.ts';
import { CanopyError } from '#core/errors.ts';
import { changeSites } from '#core/node/config.ts';
import type { Finding } from '../config/findings.ts';
import { mayReach } from './access.ts';
import { authorOf, reasonSchema } from './config.ts';
import { withName } from './named.ts';
import type { Services } from './services.ts';

/** Why, for the history. */
const querySchema = z.strictObject({ reason: reasonSchema.optional() });

interface Route {
  readonly Params: { readonly site: string };
}

export function siteRoutes(app: FastifyInstance, { access, journal, versions }: Services): void {
  const find = (name: string): Site => findSite(journal.config.sites, name);

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
      const { reason } = validate(querySchema, request.query, 'query');
      let created = false;
      const { findings, version } = await versions.propose({
        author: authorOf(request),
        reason,
        plan: (sites) => {
          created = !sites.some(({ name }) => name === site.name);
          return changeSites(sites, { put: [site], delete: [] });
        },
        check: (found) => requireOwnHosts(request, found),
      });
      reply.code(created ? 201 : 200);
      return {
        site,
        sequence: journal.config.sequence,
        version: version?.number ?? null,
        findings,
      };
    },
  });

  app.route<Route>({
    method: 'DELETE',
    url: '/v1/sites/:site',
    onRequest: access.toSites('configure'),
    handler: async (request) => {
      const { site: name } = request.params;
      const { reason } = validate(querySchema, request.query, 'query');
      const { version } = await versions.propose({
        author: authorOf(request),
        reason,
        plan: (sites) => {
          findSite(sites, name);
          return changeSites(sites, { put: [], delete: [name] });
        },
      });
      return { sequence: journal.config.sequence, version: version?.number ?? null };
    },
  });
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
