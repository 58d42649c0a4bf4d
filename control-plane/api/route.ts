import type { FastifyInstance, FastifyReply, FastifyRequest, FastifySchemaCompiler } from 'fastify';
import type { z } from 'zod';
import { validate } from '#core/contract/validate.ts';
import { CanopyError, type ErrorCode } from '#core/errors.ts';
import type { Admission } from './access.ts';

export type Method = 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';

/** Content that is not JSON. */
export interface OtherContent {
  readonly mediaType: string;
}

/** `null`: no content. */
export type Content = z.ZodType | OtherContent | null;

/** What a route says of itself: requests are checked by it, and the OpenAPI document is made of it. */
export interface Declaration {
  readonly method: Method;
  /** `:site` is a parameter, `*` at the end the rest of the path. */
  readonly path: string;
  /** Names the operation for clients that are made from the document. */
  readonly id: string;
  /** What it does, in one line. */
  readonly summary: string;
  readonly admits: Admission;
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodType | OtherContent;
  /** By status. */
  readonly answers: Readonly<Record<number, Content>>;
  /** Errors besides those that follow from the rest. */
  readonly errors?: readonly ErrorCode[];
  /** The resource has an entity tag, by which requests can be made conditional (RFC 9110 §13). */
  readonly conditional?: boolean;
  /** A reading that the audit log keeps, for it gives secrets away. */
  readonly revealing?: boolean;
  /** A question that is too long for a query; the audit log does not keep it. */
  readonly changesNothing?: boolean;
  /** Default 1 MiB. */
  readonly bodyLimitBytes?: number;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    readonly declaration?: Declaration;
  }
}

type Output<T> = T extends z.ZodType ? z.output<T> : unknown;

/** A request that has been checked: its parts are what the schemas of the route make of them. */
type Checked<D extends Declaration> = FastifyRequest<{
  Params: Output<D['params']>;
  Querystring: Output<D['query']>;
  Body: Output<D['body']>;
}>;

/** Adds a route as it is declared. */
export function route<const D extends Declaration>(
  app: FastifyInstance,
  declaration: D,
  handler: (request: Checked<D>, reply: FastifyReply) => Promise<unknown>,
): void {
  const { method, path, admits, params, query, body, bodyLimitBytes } = declaration;
  app.route({
    method,
    url: path,
    config: { declaration },
    onRequest: admits.check,
    schema: {
      ...(params !== undefined && { params }),
      ...(query !== undefined && { querystring: query }),
      ...(isSchema(body) && { body }),
    },
    ...(bodyLimitBytes !== undefined && { bodyLimit: bodyLimitBytes }),
    // Fastify has put there what `checkedBy` made of it.
    handler: (request, reply) => handler(request as Checked<D>, reply),
  });
}

export const isSchema = (content: Content | undefined): content is z.ZodType =>
  content !== undefined && content !== null && !('mediaType' in content);

/** Aborted once the client is gone, or has its answer. */
export function goneSignal(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  reply.raw.once('close', () => gone.abort());
  return gone.signal;
}

const PARTS: Readonly<Record<string, string>> = { params: 'path', querystring: 'query' };

/** Has fastify check requests by our schemas, and name what is wrong in our words: a body by its schema's title. */
export const checkedBy: FastifySchemaCompiler<z.ZodType> =
  ({ schema, httpPart = '' }) =>
  (input: unknown) => {
    try {
      const subject = PARTS[httpPart] ?? schema.meta()?.title ?? httpPart;
      return { value: validate(schema, input, subject) };
    } catch (error) {
      if (error instanceof CanopyError) return { error };
      throw error;
    }
  };
