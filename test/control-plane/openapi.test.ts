import { Validator } from '@seriousme/openapi-schema-validator';
import { expect, test } from 'vitest';
import { DeclaredAnswers, type Given, type OpenApi } from './declared.ts';
import { TestControlPlane } from './kit.ts';

const FILE = new URL('../../docs/openapi.json', import.meta.url);

test('the document in docs is the one that the control plane gives, and valid', async () => {
  const cp = await TestControlPlane.start();
  const document = await cp.get<OpenApi>('/v1/openapi.json');
  // `npx vitest run test/control-plane/openapi.test.ts -u` writes it anew.
  await expect(`${JSON.stringify(document, undefined, 2)}\n`).toMatchFileSnapshot(FILE.pathname);
  const { valid, errors } = await new Validator().validate(document);
  expect(errors).toBeUndefined();
  expect(valid).toBe(true);
});

test('every operation has a name of its own, says who may call it, and how it refuses', async () => {
  const cp = await TestControlPlane.start();
  const { paths } = await cp.get<OpenApi>('/v1/openapi.json');
  const operations = Object.values(paths).flatMap((methods) => Object.values(methods));
  const ids = operations.map(({ operationId }) => operationId);
  expect(ids.length).toBeGreaterThan(20);
  expect(new Set(ids).size).toBe(ids.length);
  const withoutRefusal = operations.filter(
    ({ security, responses }) =>
      !('500' in responses) || '401' in responses !== security.length > 0,
  );
  expect(withoutRefusal.map(({ operationId }) => operationId)).toEqual([]);
});

test('the check of answers finds what is not declared', () => {
  const answers = {
    type: 'object',
    properties: { a: { type: 'string' } },
    additionalProperties: false,
  };
  const responses = { 200: { content: { 'application/json': { schema: answers } } }, 204: {} };
  const operation = { operationId: 'get', security: [], responses };
  const declared = new DeclaredAnswers({ paths: { '/v1/a/{b}': { get: operation } } });
  const check = (change: Partial<Given>) => () =>
    declared.check({
      method: 'GET',
      path: '/v1/a/b?c',
      status: 200,
      mediaType: 'application/json',
      text: '{"a":"b"}',
      ...change,
    });
  expect(check({})).not.toThrow();
  expect(check({ status: 204, mediaType: undefined, text: '' })).not.toThrow();
  expect(check({ path: '/v1/nothing', status: 404 })).not.toThrow();
  expect(check({ text: '{"a":1}' })).toThrow('must be string');
  expect(check({ text: '{"b":""}' })).toThrow('additional properties');
  expect(check({ status: 201 })).toThrow('no such status');
  expect(check({ mediaType: 'text/plain' })).toThrow('expected application/json');
  expect(check({ method: 'PUT' })).toThrow('no such operation');
});
