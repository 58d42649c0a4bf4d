import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { explanationSchema } from '#core/contract/explain.ts';
import { nameSchema, timestampSchema } from '#core/contract/names.ts';
import { CanopyError } from '#core/errors.ts';
import { EXPLAIN_FIELD, sealExplainToken } from '#core/explain/token.ts';
import { sealKeysOf } from '#core/latency/seal.ts';
import { explain, sitesOf } from '../explain/explain.ts';
import {
  explainBodySchema,
  explainQuerySchema,
  type ExplainRequest,
  urlSchema,
} from '../explain/request.ts';
import { requireNetwork, requireSite } from './access.ts';
import { route } from './route.ts';
import type { Services } from './services.ts';

const LONGEST_TOKEN_SECONDS = 86_400;

const tokenRequestSchema = z
  .strictObject({
    /** Any of the site that requests are for. */
    url: urlSchema,
    forSeconds: z.int().min(1).max(LONGEST_TOKEN_SECONDS).default(600),
  })
  .meta({ title: 'token request' });

const tokenAnswerSchema = z.strictObject({
  site: nameSchema,
  /** The request header, and the value that it is to have. */
  field: z.string(),
  value: z.string(),
  expiresAt: timestampSchema,
});

/** Why requests are hits or misses. */
export function explainRequestRoutes(app: FastifyInstance, services: Services): void {
  const { access, clock, journal } = services;
  const admits = access.toSites('read');
  const answer = (
    { token, address }: Pick<FastifyRequest, 'token' | 'address'>,
    asked: ExplainRequest,
  ) =>
    explain(services, asked, address, (site) => {
      if (site !== undefined) requireSite(token, site);
      else if (token !== undefined) requireNetwork(token);
    });

  route(
    app,
    {
      method: 'GET',
      path: '/v1/explain',
      id: 'explain',
      summary: 'What every tier would do with a request now, and why; `header` may be repeated',
      admits,
      query: explainQuerySchema,
      answers: { 200: explanationSchema },
      errors: ['not-found'],
    },
    async (request) => {
      const { header, ...asked } = request.query;
      return answer(request, { ...asked, headers: header });
    },
  );

  route(
    app,
    {
      method: 'POST',
      path: '/v1/explain',
      id: 'explainPrivately',
      summary: 'The same, for headers that are no matter for a URL: cookies, credentials',
      admits,
      body: explainBodySchema,
      changesNothing: true,
      answers: { 200: explanationSchema },
      errors: ['not-found'],
    },
    async (request) => answer(request, request.body),
  );

  route(
    app,
    {
      method: 'POST',
      path: '/v1/explain/tokens',
      id: 'signExplain',
      summary: 'A request header that has edges explain what they do with ordinary requests',
      admits,
      body: tokenRequestSchema,
      answers: { 200: tokenAnswerSchema },
      errors: ['not-found'],
    },
    async (request) => {
      const { url, forSeconds } = request.body;
      const { config } = journal;
      const { hostname } = new URL(url);
      const site = sitesOf(config).byHost(hostname)?.name;
      if (site === undefined)
        throw new CanopyError('not-found', `No site has the host ${hostname}`);
      requireSite(request.token, site);
      const expiresAt = clock.now() + forSeconds * 1000;
      const value = sealExplainToken(sealKeysOf(config.network), { site, until: expiresAt });
      return { site, field: EXPLAIN_FIELD, value, expiresAt };
    },
  );
}
