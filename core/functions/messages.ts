import { isRemovable } from '#core/contract/rules/headers.ts';
import type { Fields } from '#core/http/fields.ts';
import type { ClientRequest } from '#core/http/request.ts';
import { normalizeTarget } from '#core/http/target.ts';
import type { RequestFacts } from '#core/rules/facts.ts';
import { FunctionFailure } from './failure.ts';

/** Fields by lower-case name, lines of one name joined as HTTP joins them; cookies that are set, as a list. */
export type FunctionHeaders = Readonly<Record<string, string | readonly string[]>>;

/** A request as functions see it. */
export interface FunctionRequest {
  readonly method: string;
  readonly scheme: 'http' | 'https';
  readonly host: string;
  readonly path: string;
  /** Without `?`. */
  readonly query: string;
  readonly headers: FunctionHeaders;
  readonly client: {
    readonly address: string;
    readonly country: string;
    readonly asn: number | null;
    readonly device: string;
  };
}

/** An answer as functions see it. */
export interface FunctionAnswer {
  readonly status: number;
  readonly headers: FunctionHeaders;
}

/** An answer that a function has made. */
export interface MadeAnswer {
  readonly status: number;
  readonly fields: Fields;
  /** Left out: what there was, if anything. */
  readonly body: string | undefined;
}

export function functionRequest(request: ClientRequest, facts: RequestFacts): FunctionRequest {
  const { method, scheme, host, target, fields } = request;
  const queryAt = target.indexOf('?');
  const { address, country, asn = null, deviceClass: device } = facts;
  return {
    method,
    scheme,
    host,
    path: queryAt === -1 ? target : target.slice(0, queryAt),
    query: queryAt === -1 ? '' : target.slice(queryAt + 1),
    headers: headersOf(fields),
    client: { address, country, asn, device },
  };
}

export const functionAnswer = (status: number, fields: Fields): FunctionAnswer => ({
  status,
  headers: headersOf(fields),
});

/**
 * What `onRequest` returned: nothing, an answer (it has a `status`), or the request, changed.
 * @throws FunctionFailure `result`
 */
export function readRequestResult(
  value: unknown,
  request: ClientRequest,
  seen: FunctionRequest,
): ClientRequest | MadeAnswer {
  if (value === undefined || value === null) return request;
  const returned = objectIn(value, 'onRequest');
  if ('status' in returned) return readMade(returned, [], {}, 'onRequest');
  const path = returned['path'] ?? seen.path;
  const query = returned['query'] ?? seen.query;
  if (typeof path !== 'string' || typeof query !== 'string') {
    throw new FunctionFailure('result', 'path and query of a request are strings');
  }
  const target = normalizeTarget(query === '' ? path : `${path}?${query}`);
  if (target === undefined) {
    throw new FunctionFailure('result', `No request target: ${JSON.stringify(`${path}?${query}`)}`);
  }
  const fields = readHeaders(returned['headers'], request.fields, seen.headers);
  const unchanged = path === seen.path && query === seen.query && fields === request.fields;
  return unchanged ? request : { ...request, target, fields };
}

/**
 * What `onResponse` returned: nothing, or the answer, changed.
 * @throws FunctionFailure `result`
 */
export function readAnswerResult(
  value: unknown,
  fields: Fields,
  seen: FunctionAnswer,
): MadeAnswer | undefined {
  if (value === undefined || value === null) return undefined;
  const returned = objectIn(value, 'onResponse');
  return readMade({ status: seen.status, ...returned }, fields, seen.headers, 'onResponse');
}

/** The most that a function may answer by itself. */
const MAX_BODY_LENGTH = 256 * 1024;

function readMade(
  { status, headers, body }: Readonly<Record<string, unknown>>,
  fields: Fields,
  seen: FunctionHeaders,
  hook: string,
): MadeAnswer {
  if (typeof status !== 'number' || !Number.isInteger(status) || status < 200 || status > 599) {
    throw new FunctionFailure('result', `${hook}: status is a whole number from 200 to 599`);
  }
  if (body !== undefined && body !== null && typeof body !== 'string') {
    throw new FunctionFailure('result', `${hook}: body is a string`);
  }
  if (typeof body === 'string' && body.length > MAX_BODY_LENGTH) {
    throw new FunctionFailure('result', `${hook}: body is longer than ${MAX_BODY_LENGTH}`);
  }
  return { status, fields: readHeaders(headers, fields, seen), body: body ?? undefined };
}

function objectIn(value: unknown, hook: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Readonly<Record<string, unknown>>;
  }
  throw new FunctionFailure('result', `${hook} returns an object or nothing`);
}

function headersOf(fields: Fields): FunctionHeaders {
  const lines = new Map<string, string[]>();
  for (let i = 0; i < fields.length; i += 2) {
    const name = (fields[i] ?? '').toLowerCase();
    const values = lines.get(name);
    if (values === undefined) lines.set(name, [fields[i + 1] ?? '']);
    else values.push(fields[i + 1] ?? '');
  }
  return Object.fromEntries([...lines].map(([name, values]) => [name, joined(name, values)]));
}

/** RFC 9110 §5.3; cookies have ways of their own, RFC 6265 §3 and §5.4. */
function joined(name: string, values: readonly string[]): string | readonly string[] {
  if (name === 'set-cookie') return values;
  return values.join(name === 'cookie' ? '; ' : ', ');
}

const NAME = /^[\w!#$%&'*+.^`|~-]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** The lines of fields that are as they were stay as they came. */
function readHeaders(headers: unknown, fields: Fields, seen: FunctionHeaders): Fields {
  if (headers === undefined) return fields;
  const returned = new Map(
    Object.entries(objectIn(headers, 'headers')).map(([name, value]) => [
      name.toLowerCase(),
      value,
    ]),
  );
  // Who leaves out what only nodes may set did not mean to take it away.
  const isSame = (name: string): boolean =>
    returned.has(name)
      ? JSON.stringify(returned.get(name)) === JSON.stringify(seen[name])
      : !isRemovable(name);
  const names = new Set([...Object.keys(seen), ...returned.keys()]);
  const changed = new Set([...names].filter((name) => !isSame(name)));
  if (changed.size === 0) return fields;
  const kept: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? '';
    if (!changed.has(name.toLowerCase())) kept.push(name, fields[i + 1] ?? '');
  }
  for (const name of changed) {
    if (!NAME.test(name))
      throw new FunctionFailure('result', `No field name: ${JSON.stringify(name)}`);
    if (!isRemovable(name)) {
      throw new FunctionFailure('result', `The field ${name} is for nodes to set`);
    }
    for (const value of [returned.get(name) ?? []].flat() as unknown[]) {
      if (typeof value !== 'string' || !VALUE.test(value)) {
        throw new FunctionFailure(
          'result',
          `No value of the field ${name}: ${JSON.stringify(value)}`,
        );
      }
      kept.push(name, value);
    }
  }
  return kept;
}
