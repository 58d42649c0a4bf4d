import { STATUS_CODES } from 'node:http';
import type { ErrorPageAction } from '#core/contract/rules/error-page.ts';
import { ERRORS, type ErrorCode } from '#core/errors.ts';
import { namedQuality } from '#core/http/accept.ts';
import { fieldValue } from '#core/http/fields.ts';
import { statedMediaType } from '#core/http/media-type.ts';
import { normalizePath } from '#core/http/target.ts';
import type { RequestFacts } from './facts.ts';
import { textTemplate } from './text-template.ts';

/** An error that a client is to be told. */
export interface ErrorFacts {
  readonly status: number;
  /** Of the edge's own; `undefined`: the origin has answered it. */
  readonly code: ErrorCode | undefined;
}

/** What is said in place of an error. */
export interface ErrorPage {
  /** Whether it is for this error, and for who asks. */
  readonly suits: (error: ErrorFacts, request: RequestFacts) => boolean;
  /** The URL of the page, path and query. */
  readonly target: string | undefined;
  readonly contentType: string;
  readonly body: ((error: ErrorFacts, request: RequestFacts) => string) | undefined;
}

/** Made once, when the rule arrives. */
export function errorPageOf({ path, body, contentType, fromOrigin }: ErrorPageAction): ErrorPage {
  const text = body === undefined ? undefined : textTemplate(body, contentType);
  const type = statedMediaType(contentType);
  return {
    suits: ({ code }, { fields }) =>
      (fromOrigin || code !== undefined) && isWanted(fieldValue(fields, 'accept'), type),
    target: path === undefined ? undefined : normalized(path),
    contentType,
    body:
      text &&
      (({ status, code }, request) =>
        text(request, {
          'error.status': String(status),
          'error.code': code ?? '',
          'error.title': code === undefined ? (STATUS_CODES[status] ?? '') : ERRORS[code].title,
        })),
  };
}

/** Who names JSON is a program, and is told the error as it is, unless it names what the page is no less. */
function isWanted(accept: string | undefined, type: string): boolean {
  const json = Math.max(
    namedQuality(accept, 'application/json') ?? -1,
    namedQuality(accept, 'application/problem+json') ?? -1,
  );
  return json < 0 || (namedQuality(accept, type) ?? -1) >= json;
}

function normalized(target: string): string {
  const queryAt = target.indexOf('?');
  const path = queryAt === -1 ? target : target.slice(0, queryAt);
  return (normalizePath(path) ?? path) + (queryAt === -1 ? '' : target.slice(queryAt));
}
