import type { FastifyInstance } from 'fastify';
import { STATUS_CODES } from 'node:http';
import { z } from 'zod';
import {
  createDocument,
  type ZodOpenApiObject,
  type ZodOpenApiOperationObject,
  type ZodOpenApiPathsObject,
  type ZodOpenApiResponseObject,
} from 'zod-openapi';
import { explanationSchema, nodeExplanationSchema } from '#core/contract/explain.ts';
import { purgeTargetSchema } from '#core/contract/purge.ts';
import { nodeSchema } from '#core/contract/node.ts';
import { acknowledgementSchema, heartbeatSchema } from '#core/contract/report.ts';
import { siteSchema } from '#core/contract/site.ts';
import { ERRORS, type ErrorCode } from '#core/errors.ts';
import { version } from '#core/node/version.ts';
import { anyone } from './access.ts';
import { problemSchema } from './problem.ts';
import { type Content, type Declaration, isSchema, route } from './route.ts';

/** Schemas that have a name in the document; others stand where they are used. */
const NAMED = {
  Site: siteSchema,
  Node: nodeSchema,
  PurgeTarget: purgeTargetSchema,
  Heartbeat: heartbeatSchema,
  Acknowledgement: acknowledgementSchema,
  Explanation: explanationSchema,
  NodeExplanation: nodeExplanationSchema,
  Problem: problemSchema,
};

/** Has the API describe itself. @param declarations of all routes, complete once the API serves */
export function openApiRoutes(app: FastifyInstance, declarations: ReadonlySet<Declaration>): void {
  let document: ReturnType<typeof createDocument> | undefined;
  route(
    app,
    {
      method: 'GET',
      path: '/v1/openapi.json',
      id: 'getOpenApi',
      summary: 'This document',
      admits: anyone,
      answers: { 200: z.looseObject({ openapi: z.string() }) },
    },
    async () => (document ??= openApiOf([...declarations])),
  );
}

/** The OpenAPI document of an API with these routes. */
export function openApiOf(declarations: readonly Declaration[]): ReturnType<typeof createDocument> {
  const paths: ZodOpenApiPathsObject = {};
  for (const declaration of declarations) {
    const path = templateOf(declaration.path);
    paths[path] = {
      ...paths[path],
      [declaration.method.toLowerCase()]: operationOf(declaration),
    };
  }
  const document: ZodOpenApiObject = {
    openapi: '3.1.0',
    info: {
      title: 'Canopy',
      version,
      description: 'The API of the control plane.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    paths,
    components: {
      schemas: NAMED,
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'A token with the scope named' },
        node: { type: 'http', scheme: 'bearer', description: "A node's credential" },
        enrolment: { type: 'http', scheme: 'bearer', description: "A node's one-time token" },
      },
    },
  };
  return createDocument(document);
}

/** `/v1/sites/:site/objects/*` as `/v1/sites/{site}/objects/{path}`. */
const templateOf = (path: string): string =>
  path.replaceAll(/:(\w+)/g, '{$1}').replace(/\*$/, '{path}');

function operationOf(declaration: Declaration): ZodOpenApiOperationObject {
  const { id, summary, admits, path, params, query, body, conditional = false } = declaration;
  const { who, scope } = admits;
  return {
    operationId: id,
    summary,
    tags: [path.split('/')[2] ?? ''],
    security: who === 'anyone' ? [] : [{ [who]: scope === undefined ? [] : [scope] }],
    requestParams: {
      ...(params !== undefined && { path: withNamedRest(params) }),
      ...(query !== undefined && { query }),
      ...(conditional && { header: preconditionSchema }),
    },
    ...(body !== undefined && { requestBody: { required: true, content: contentOf(body) } }),
    responses: { ...answersOf(declaration), ...refusalsOf(declaration) },
  };
}

const preconditionSchema = z.object({
  'if-match': z.string().optional(),
  'if-none-match': z.string().optional(),
});

/** The document needs a name for what fastify calls `*`. */
function withNamedRest(params: z.ZodObject): z.ZodObject {
  const { '*': rest, ...named } = params.shape;
  return rest === undefined ? params : z.object({ ...named, path: rest });
}

const contentOf = (content: Exclude<Content, null>) =>
  isSchema(content) ? { 'application/json': { schema: content } } : { [content.mediaType]: {} };

function answersOf({ answers, conditional = false }: Declaration) {
  return Object.fromEntries(
    Object.entries(answers).map(([status, content]): [string, ZodOpenApiResponseObject] => [
      status,
      {
        description: STATUS_CODES[status] ?? status,
        ...(content !== null && { content: contentOf(content) }),
        ...(conditional && { headers: z.object({ etag: z.string() }) }),
      },
    ]),
  );
}

/** By status, what the problem's `code` may be there. */
function refusalsOf(declaration: Declaration): Record<string, ZodOpenApiResponseObject> {
  const byStatus = Map.groupBy(errorsOf(declaration), (code) => ERRORS[code].status);
  return Object.fromEntries(
    [...byStatus]
      .toSorted(([a], [b]) => a - b)
      .map(([status, codes]) => [
        String(status),
        {
          description: codes.map((code) => `\`${code}\`: ${ERRORS[code].title}`).join('; '),
          content: { 'application/problem+json': { schema: problemSchema } },
        },
      ]),
  );
}

function errorsOf(declaration: Declaration): readonly ErrorCode[] {
  const { admits, params, query, body, errors = [], conditional = false } = declaration;
  const { who } = admits;
  const codes: readonly (readonly [applies: boolean, ...ErrorCode[]])[] = [
    [true, 'invalid-request', 'internal-error', 'unavailable'],
    [who !== 'anyone', 'unauthenticated', 'too-many-requests'],
    [who === 'token', 'forbidden'],
    [who === 'node' || who === 'enrolment', 'contract-unsupported'],
    [params !== undefined, 'not-found'],
    [params !== undefined || query !== undefined || isSchema(body), 'invalid-input'],
    [body !== undefined, 'content-too-large', 'request-timeout', 'insufficient-storage'],
    [conditional, 'precondition-failed'],
  ];
  return [...new Set([...codes.flatMap(([applies, ...of]) => (applies ? of : [])), ...errors])];
}
