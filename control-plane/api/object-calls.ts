import { z } from 'zod';
import { nameSchema } from '#core/contract/names.ts';
import type { Scope } from '../state/scopes.ts';
import { pageOf, pageQuery } from './pages.ts';
import type { Declaration } from './route.ts';

// What publishers may ask of the origin nodes, which check it themselves.

export const siteParams = z.strictObject({ site: nameSchema });

/** How what is published is purged; `none`: what caches hold is left. Whatever else there is says nothing. */
export const publishedQuery = z.looseObject({
  purge: z.enum(['hard', 'soft', 'none']).default('hard'),
});

const ANY_CONTENT = { mediaType: '*/*' };
const JSON_CONTENT = { mediaType: 'application/json' };

/** As an origin node describes it. */
const objectSchema = z.strictObject({
  path: z.string(),
  etag: z.string(),
  size: z.int(),
  contentType: z.string(),
  cacheControl: z.string().optional(),
  /** An HTTP date. */
  lastModified: z.string(),
});

const contentSchema = z.strictObject({ digest: z.string(), size: z.int() });

const path = siteParams.extend({ '*': z.string() });
const digest = siteParams.extend({ digest: z.string() });
const hold = siteParams.extend({ name: z.string() });

interface ObjectCall extends Pick<
  Declaration,
  'method' | 'id' | 'summary' | 'query' | 'body' | 'answers' | 'errors' | 'conditional'
> {
  /** Below the site. */
  readonly resource: string;
  readonly scope: Scope;
  readonly params: z.ZodObject;
  /** What is done with it at the origin nodes. */
  readonly how: 'read' | 'write' | 'write object' | 'publish' | 'missing';
}

export const OBJECT_CALLS: readonly ObjectCall[] = [
  {
    method: 'GET',
    resource: 'objects',
    id: 'listObjects',
    summary: 'Objects of a push site, by path',
    scope: 'read',
    params: siteParams,
    query: z.strictObject({ ...pageQuery, prefix: z.string().optional() }),
    answers: { 200: pageOf(objectSchema) },
    how: 'read',
  },
  {
    method: 'GET',
    resource: 'objects/*',
    id: 'getObject',
    summary: 'An object, or ranges of it',
    scope: 'read',
    params: path,
    answers: { 200: ANY_CONTENT, 206: ANY_CONTENT, 304: null, 416: null },
    conditional: true,
    how: 'read',
  },
  {
    method: 'PUT',
    resource: 'objects/*',
    id: 'putObject',
    summary: 'Store an object at every origin in service',
    scope: 'publish',
    params: path,
    query: publishedQuery,
    body: ANY_CONTENT,
    answers: { 200: objectSchema, 201: objectSchema },
    conditional: true,
    how: 'write object',
  },
  {
    method: 'DELETE',
    resource: 'objects/*',
    id: 'deleteObject',
    summary: 'Remove an object',
    scope: 'publish',
    params: path,
    query: publishedQuery,
    answers: { 204: null },
    conditional: true,
    how: 'write object',
  },
  {
    method: 'GET',
    resource: 'versions/*',
    id: 'listVersions',
    summary: 'What was at a path before and is kept, the latest first',
    scope: 'read',
    params: path,
    answers: { 200: z.strictObject({ versions: z.array(objectSchema) }) },
    how: 'read',
  },
  {
    method: 'GET',
    resource: 'usage',
    id: 'getUsage',
    summary: 'What a site takes at the origin, and what it may take',
    scope: 'read',
    params: siteParams,
    answers: { 200: JSON_CONTENT },
    how: 'read',
  },
  {
    method: 'GET',
    resource: 'contents/:digest',
    id: 'getContent',
    summary: 'A content by its SHA-256',
    scope: 'read',
    params: digest,
    answers: { 200: ANY_CONTENT, 206: ANY_CONTENT, 304: null, 416: null },
    how: 'read',
  },
  {
    method: 'PUT',
    resource: 'contents/:digest',
    id: 'putContent',
    summary: 'Store a content, to be published later',
    scope: 'publish',
    params: digest,
    body: ANY_CONTENT,
    answers: { 200: contentSchema, 201: contentSchema },
    how: 'write',
  },
  {
    method: 'POST',
    resource: 'contents/missing',
    id: 'listMissingContents',
    summary: 'Which of these contents have to be put, because an origin lacks them',
    scope: 'publish',
    params: siteParams,
    body: JSON_CONTENT,
    answers: { 200: z.strictObject({ missing: z.array(z.string()) }) },
    errors: ['invalid-input'],
    how: 'missing',
  },
  {
    method: 'POST',
    resource: 'publications',
    id: 'publish',
    summary: 'Have any number of paths changed at one moment',
    scope: 'publish',
    params: siteParams,
    query: publishedQuery,
    body: JSON_CONTENT,
    answers: { 200: z.strictObject({ objects: z.int(), deleted: z.int() }) },
    errors: ['invalid-input', 'conflict'],
    how: 'publish',
  },
  {
    method: 'PUT',
    resource: 'holds/:name',
    id: 'putHold',
    summary: 'Keep contents that no path has',
    scope: 'publish',
    params: hold,
    body: JSON_CONTENT,
    answers: { 204: null },
    errors: ['invalid-input', 'conflict'],
    how: 'write',
  },
  {
    method: 'DELETE',
    resource: 'holds/:name',
    id: 'deleteHold',
    summary: 'Keep them no longer',
    scope: 'publish',
    params: hold,
    answers: { 204: null },
    how: 'write',
  },
];
