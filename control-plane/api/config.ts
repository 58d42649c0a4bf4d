import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { MAX_SITES } from '#core/contract/event.ts';
import { nameSchema } from '#core/contract/names.ts';
import { siteSchema } from '#core/contract/site.ts';
import { InvalidInput } from '#core/contract/validate.ts';
import { CanopyError } from '#core/errors.ts';
import { allWithSecrets, withoutSecrets } from '../config/secrets.ts';
import { differenceSchema, differencesOf } from '../config/diff.ts';
import { findingSchema } from '../config/findings.ts';
import { nodeProgressSchema, summaryOf, versionSummarySchema } from '../config/progress.ts';
import type { Rollout } from '../config/rollouts.ts';
import { deltasBetween, onRefusalSchema } from '../config/version.ts';
import type { Outcome } from '../config/versions.ts';
import { wroteVersion } from './audit.ts';
import { pageFrom, pageOf, pageQuery } from './pages.ts';
import { route } from './route.ts';
import type { Services } from './services.ts';
import { waitQuerySchema } from './waiting.ts';

/** Ten thousand sites. */
const BODY_LIMIT_BYTES = 64 * 1024 * 1024;

const numberSchema = z.coerce.number().int().min(0);
export const reasonSchema = z.string().min(1).max(1_000);

/** All sites that there are to be. */
const configSchema = z
  .strictObject({
    sites: z.array(siteSchema).max(MAX_SITES),
    reason: reasonSchema.optional(),
    /** Nodes that have it before all others, until it is promoted or aborted. */
    canary: z.array(nameSchema).min(1).max(1_000).optional(),
    onRefusal: onRefusalSchema.default('rollback'),
    /** Answers what would change and what speaks against it, and changes nothing. */
    dryRun: z.boolean().default(false),
  })
  .meta({ title: 'configuration' });

const rollbackSchema = z
  .strictObject({
    /** 0: what was before the first version. */
    to: z.int().min(0),
    reason: reasonSchema.optional(),
    dryRun: z.boolean().default(false),
  })
  .meta({ title: 'rollback' });

const sitesQuery = z.strictObject({ version: numberSchema.optional() });
const diffQuery = z.strictObject({ from: numberSchema, to: numberSchema.optional() });
const params = z.strictObject({ number: numberSchema });

/** The sites of a version; 0: those before the first. */
const sitesAnswerSchema = z.strictObject({ version: z.int(), sites: z.array(siteSchema) });

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
  const reads = access.toNetwork('read');
  const configures = access.toNetwork('configure');

  route(
    app,
    {
      method: 'GET',
      path: '/v1/config',
      id: 'getConfig',
      summary: 'All sites, as they are or as of a version',
      admits: reads,
      query: sitesQuery,
      answers: { 200: sitesAnswerSchema },
      errors: ['not-found'],
      conditional: true,
    },
    async ({ query: { version } }, reply) => {
      const { config } = journal;
      const inEffect = await history.inEffect(config);
      const wanted = version ?? inEffect;
      reply.header('etag', `"${wanted}"`);
      return {
        version: wanted,
        sites: (await history.sitesAt(wanted, config)).map(withoutSecrets),
      };
    },
  );

  route(
    app,
    {
      method: 'POST',
      path: '/v1/config',
      id: 'applyConfig',
      summary: 'Make all sites as they are given, as one version',
      admits: configures,
      body: configSchema,
      bodyLimitBytes: BODY_LIMIT_BYTES,
      answers: { 200: outcomeSchema, 202: outcomeSchema },
      errors: ['conflict', 'not-found'],
      conditional: true,
    },
    async (request, reply) => {
      const { sites, ...how } = request.body;
      requireNames(sites);
      const outcome = await versions.propose({
        ...how,
        author: authorOf(request),
        ifVersion: ifVersionOf(request),
        plan: (present) => allWithSecrets(sites, present),
      });
      return answer(request, reply, outcome);
    },
  );

  route(
    app,
    {
      method: 'POST',
      path: '/v1/config/rollback',
      id: 'rollBackConfig',
      summary: 'Bring back the sites of an earlier version',
      admits: configures,
      body: rollbackSchema,
      answers: { 200: outcomeSchema, 202: outcomeSchema },
      errors: ['conflict', 'not-found'],
      conditional: true,
    },
    async (request, reply) => {
      const { to, ...how } = request.body;
      const outcome = await versions.rollback(to, {
        ...how,
        author: authorOf(request),
        ifVersion: ifVersionOf(request),
      });
      return answer(request, reply, outcome);
    },
  );

  for (const [verb, summary] of CANARY_ENDS) {
    route(
      app,
      {
        method: 'POST',
        path: `/v1/config/${verb}`,
        id: `${verb}Canary`,
        summary,
        admits: configures,
        answers: { 200: versionSummarySchema },
        errors: ['conflict'],
      },
      async () => summaryOf(await versions[verb]()),
    );
  }

  route(
    app,
    {
      method: 'GET',
      path: '/v1/config/diff',
      id: 'compareVersions',
      summary: 'What differs between two versions',
      admits: reads,
      query: diffQuery,
      answers: {
        200: z.strictObject({ from: z.int(), to: z.int(), diff: z.array(differenceSchema) }),
      },
      errors: ['not-found'],
    },
    async ({ query: { from, to } }) => {
      const { config } = journal;
      const last = to ?? (await history.inEffect(config));
      const [before, after] = [
        await history.sitesAt(from, config),
        await history.sitesAt(last, config),
      ];
      return { from, to: last, diff: differencesOf(deltasBetween(before, after)) };
    },
  );

  route(
    app,
    {
      method: 'GET',
      path: '/v1/config/versions',
      id: 'listVersionsOfConfig',
      summary: 'Versions of the sites, latest first',
      admits: reads,
      query: z.strictObject({ ...pageQuery, after: numberSchema.optional() }),
      answers: { 200: pageOf(versionSummarySchema) },
    },
    async ({ query: { limit, after } }) => {
      const found = await history.list(limit + 1, after);
      return pageFrom(found.map(summaryOf), limit, ({ number }) => String(number));
    },
  );

  route(
    app,
    {
      method: 'GET',
      path: '/v1/config/versions/:number',
      id: 'getVersionOfConfig',
      summary: 'A version, once it is everywhere or the time to wait is over',
      admits: reads,
      params,
      query: waitQuerySchema,
      answers: { 200: rolloutSchema },
    },
    async ({ params: { number }, query: { waitMs } }) =>
      rolloutAnswer(await rollouts.wait(number, waitMs)),
  );
}

/** What ends a canary. */
const CANARY_ENDS = [
  ['promote', 'Give the canary to every node'],
  ['abort', 'Take the canary from its nodes'],
] as const;

const rolloutAnswer = ({ version, nodes }: Rollout): z.output<typeof rolloutSchema> => ({
  ...summaryOf(version),
  diff: differencesOf(version.deltas),
  nodes: [...nodes],
});

function answer(
  request: FastifyRequest,
  reply: FastifyReply,
  outcome: Outcome,
): z.output<typeof outcomeSchema> {
  const { base, deltas, findings, version } = outcome;
  wroteVersion(request, version);
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
