import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { MAX_SITES } from '#core/contract/event.ts';
import { nameSchema } from '#core/contract/names.ts';
import { siteSchema } from '#core/contract/site.ts';
import { InvalidInput, validate } from '#core/contract/validate.ts';
import { CanopyError } from '#core/errors.ts';
import { differenceSchema, differencesOf } from '../config/diff.ts';
import { findingSchema } from '../config/findings.ts';
import { nodeProgressSchema, summaryOf, versionSummarySchema } from '../config/progress.ts';
import type { Rollout } from '../config/rollouts.ts';
import { deltasBetween, onRefusalSchema } from '../config/version.ts';
import type { Outcome } from '../config/versions.ts';
import type { Services } from './services.ts';

/** Ten thousand sites. */
const BODY_LIMIT_BYTES = 64 * 1024 * 1024;

const numberSchema = z.coerce.number().int().min(0);
export const reasonSchema = z.string().min(1).max(1_000);

/** All sites that there are to be. */
const configSchema = z.strictObject({
  sites: z.array(siteSchema).max(MAX_SITES),
  reason: reasonSchema.optional(),
  /** Nodes that have it before all others, until it is promoted or aborted. */
  canary: z.array(nameSchema).min(1).max(1_000).optional(),
  onRefusal: onRefusalSchema.default('rollback'),
  /** Answers what would change and what speaks against it, and changes nothing. */
  dryRun: z.boolean().default(false),
});

const rollbackSchema = z.strictObject({
  /** 0: what was before the first version. */
  to: z.int().min(0),
  reason: reasonSchema.optional(),
  dryRun: z.boolean().default(false),
});

const sitesQuery = z.strictObject({ version: numberSchema.optional() });
const diffQuery = z.strictObject({ from: numberSchema, to: numberSchema.optional() });
const waitQuery = z.strictObject({
  waitMs: z.coerce.number().int().min(0).max(60_000).default(0),
});
const pageQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
  after: numberSchema.optional(),
});
const params = z.strictObject({ number: numberSchema });

export const outcomeSchema = z.strictObject({
  /** The version that was in effect; 0: none yet. */
  base: z.int(),
  /** What was made; `null`: nothing. */
  version: versionSummarySchema.nullable(),
  diff: z.array(differenceSchema),
  findings: z.array(findingSchema),
});

export const rolloutSchema = versionSummarySchema.extend({
  diff: z.array(differenceSchema),
  nodes: z.array(nodeProgressSchema),
});

export function configRoutes(app: FastifyInstance, services: Services): void {
  const { access, history, journal, rollouts, versions } = services;

  app.route({
    method: 'GET',
    url: '/v1/config',
    onRequest: access.toNetwork('read'),
    handler: async (request, reply) => {
      const { version } = validate(sitesQuery, request.query, 'query');
      const { config } = journal;
      const inEffect = await history.inEffect(config);
      const wanted = version ?? inEffect;
      reply.header('etag', `"${wanted}"`);
      return { version: wanted, sites: await history.sitesAt(wanted, config) };
    },
  });

  app.route({
    method: 'POST',
    url: '/v1/config',
    onRequest: access.toNetwork('configure'),
    bodyLimit: BODY_LIMIT_BYTES,
    handler: async (request, reply) => {
      const { sites, ...how } = validate(configSchema, request.body, 'configuration');
      requireNames(sites);
      const outcome = await versions.propose({
        ...how,
        author: authorOf(request),
        ifVersion: ifVersionOf(request),
        plan: () => sites,
      });
      return answer(reply, outcome);
    },
  });

  app.route({
    method: 'POST',
    url: '/v1/config/rollback',
    onRequest: access.toNetwork('configure'),
    handler: async (request, reply) => {
      const { to, ...how } = validate(rollbackSchema, request.body, 'rollback');
      const outcome = await versions.rollback(to, {
        ...how,
        author: authorOf(request),
        ifVersion: ifVersionOf(request),
      });
      return answer(reply, outcome);
    },
  });

  for (const verb of ['promote', 'abort'] as const) {
    app.route({
      method: 'POST',
      url: `/v1/config/${verb}`,
      onRequest: access.toNetwork('configure'),
      handler: async () => summaryOf(await versions[verb]()),
    });
  }

  app.route({
    method: 'GET',
    url: '/v1/config/diff',
    onRequest: access.toNetwork('read'),
    handler: async (request) => {
      const { from, to } = validate(diffQuery, request.query, 'query');
      const { config } = journal;
      const last = to ?? (await history.inEffect(config));
      const [before, after] = [
        await history.sitesAt(from, config),
        await history.sitesAt(last, config),
      ];
      return { from, to: last, diff: differencesOf(deltasBetween(before, after)) };
    },
  });

  app.route({
    method: 'GET',
    url: '/v1/config/versions',
    onRequest: access.toNetwork('read'),
    handler: async (request) => {
      const { limit, after } = validate(pageQuery, request.query, 'query');
      const found = await history.list(limit + 1, after);
      const items = found.slice(0, limit).map(summaryOf);
      const next = found.length > limit ? String(items.at(-1)?.number) : null;
      return { items, next };
    },
  });

  app.route({
    method: 'GET',
    url: '/v1/config/versions/:number',
    onRequest: access.toNetwork('read'),
    handler: async (request) => {
      const { number } = validate(params, request.params, 'path');
      const { waitMs } = validate(waitQuery, request.query, 'query');
      return rolloutAnswer(await rollouts.wait(number, waitMs));
    },
  });
}

const rolloutAnswer = ({ version, nodes }: Rollout): z.output<typeof rolloutSchema> => ({
  ...summaryOf(version),
  diff: differencesOf(version.deltas),
  nodes: [...nodes],
});

function answer(reply: FastifyReply, outcome: Outcome): z.output<typeof outcomeSchema> {
  const { base, deltas, findings, version } = outcome;
  if (version !== undefined) {
    reply.code(202).header('location', `/v1/config/versions/${version.number}`);
  }
  return {
    base,
    version: version === undefined ? null : summaryOf(version),
    diff: differencesOf(deltas),
    findings: [...findings],
  };
}

/** The name of the token, which the history keeps. */
export const authorOf = ({ token }: FastifyRequest): string => token?.name ?? '';

/** The version that the request was made from, as the entity tag of `/v1/config` names it (RFC 9110 §13.1.1). */
function ifVersionOf({ headers }: FastifyRequest): number | undefined {
  const field = headers['if-match'];
  if (field === undefined || field.trim() === '*') return undefined;
  const [, number] = /^"(\d{1,12})"$/.exec(field.trim()) ?? [];
  if (number !== undefined) return Number(number);
  throw new CanopyError('precondition-failed', `No version has the entity tag ${field}`);
}

/** @throws InvalidInput where two sites have the same name */
function requireNames(sites: readonly { readonly name: string }[]): void {
  const seen = new Set<string>();
  for (const [index, { name }] of sites.entries()) {
    if (seen.has(name)) {
      throw new InvalidInput('configuration', [
        { path: `sites.${index}.name`, expected: 'another name', received: JSON.stringify(name) },
      ]);
    }
    seen.add(name);
  }
}
