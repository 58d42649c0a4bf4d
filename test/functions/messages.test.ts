import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { FunctionFailure } from '#core/functions/failure.ts';
import {
  functionAnswer,
  functionRequest,
  readAnswerResult,
  readRequestResult,
} from '#core/functions/messages.ts';
import type { ClientRequest } from '#core/http/request.ts';
import { normalizeTarget } from '#core/http/target.ts';
import { RequestFacts } from '#core/rules/facts.ts';

const request: ClientRequest = {
  method: 'GET',
  scheme: 'https',
  authority: 'www.example.org',
  host: 'www.example.org',
  target: '/a/b?c=d',
  fields: [
    'Accept',
    'text/html',
    'accept',
    'text/*',
    'Cookie',
    'a=1',
    'Cookie',
    'b=2',
    'Via',
    '1.1 x',
  ],
  hasContent: false,
  upgrade: undefined,
  expectsContinue: false,
};
const facts = new RequestFacts(request, '203.0.113.9', {
  countryOf: () => 'DE',
  asnOf: () => undefined,
});
const seen = functionRequest(request, facts);
const told = (value: unknown) => readRequestResult(value, request, seen);

test('a function sees the request in plain values', () => {
  expect(seen).toEqual({
    method: 'GET',
    scheme: 'https',
    host: 'www.example.org',
    path: '/a/b',
    query: 'c=d',
    headers: { accept: 'text/html, text/*', cookie: 'a=1; b=2', via: '1.1 x' },
    client: { address: '203.0.113.9', country: 'DE', asn: null, device: 'desktop' },
  });
});

test.each([undefined, null, seen, {}, { headers: seen.headers }])(
  'what is unchanged is the request itself: %j',
  (value) => {
    expect(told(value)).toBe(request);
  },
);

test.each<[string, unknown, Partial<ClientRequest>]>([
  ['another path', { path: '/x/../y' }, { target: '/y?c=d' }],
  ['another query', { ...seen, query: '' }, { target: '/a/b' }],
  [
    'another field, the others as they came',
    { headers: { ...seen.headers, cookie: 'a=1' } },
    { fields: ['Accept', 'text/html', 'accept', 'text/*', 'Via', '1.1 x', 'cookie', 'a=1'] },
  ],
  ['fields taken away, but for those of nodes', { headers: {} }, { fields: ['Via', '1.1 x'] }],
])('a function may ask for %s', (_, value, expected) => {
  expect(told(value)).toEqual({ ...request, ...expected });
});

test.each<[string, unknown, string]>([
  ['a string', 'x', 'returns an object'],
  ['a list', [], 'returns an object'],
  ['a path without slash', { path: 'x' }, 'No request target'],
  ['a path with a line break', { path: '/a\r\nX: y' }, 'No request target'],
  ['a query with a space', { query: 'a b' }, 'No request target'],
  ['a field name that is none', { headers: { ...seen.headers, 'a b': 'c' } }, 'No field name'],
  [
    'a field value that ends the line',
    { headers: { ...seen.headers, a: 'b\r\nc: d' } },
    'No value',
  ],
  ['a number as a field value', { headers: { ...seen.headers, a: 1 } }, 'No value'],
  ['a field of the nodes', { headers: { ...seen.headers, via: 'x' } }, 'is for nodes'],
  ['framing', { headers: { ...seen.headers, 'Transfer-Encoding': 'chunked' } }, 'is for nodes'],
  ['a status that is none', { status: 100 }, 'status'],
  ['a body that is no text', { status: 200, body: {} }, 'body'],
])('%s is refused', (_, value, message) => {
  expect(() => told(value)).toThrow(message);
});

test('an answer that a function makes has what it says, and no more', () => {
  expect(told({ status: 302, headers: { Location: '/x', 'Set-Cookie': ['a=1', 'b=2'] } })).toEqual({
    status: 302,
    fields: ['location', '/x', 'set-cookie', 'a=1', 'set-cookie', 'b=2'],
    body: undefined,
  });
});

test('of an answer that a function changes, lines stay as they came', () => {
  const fields = ['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'Server', 'x', 'Content-Length', '3'];
  const answer = functionAnswer(200, fields);
  expect(answer.headers).toEqual({
    'set-cookie': ['a=1', 'b=2'],
    server: 'x',
    'content-length': '3',
  });
  const changed = { ...answer, status: 203, headers: { ...answer.headers, server: 'y' } };
  expect(readAnswerResult(changed, fields, answer)).toEqual({
    status: 203,
    fields: ['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'Content-Length', '3', 'server', 'y'],
    body: undefined,
  });
});

function toldOrRefused(value: unknown): ReturnType<typeof told> | 'refused' {
  try {
    return told(value);
  } catch (error) {
    if (error instanceof FunctionFailure && error.reason === 'result') return 'refused';
    throw error;
  }
}

test('whatever a function returns, what comes of it is a request that can be sent', () => {
  const headers = fc.dictionary(
    fc.string(),
    fc.oneof(fc.string(), fc.array(fc.string()), fc.anything()),
  );
  const result = fc.oneof(
    fc.anything(),
    fc.record({ path: fc.string(), query: fc.string(), headers }, { requiredKeys: [] }),
    fc.record({ path: fc.webPath(), query: fc.webQueryParameters() }, { requiredKeys: [] }),
  );
  fc.assert(
    fc.property(result, (value) => {
      const read = toldOrRefused(value);
      if (read === 'refused' || 'status' in read) return;
      expect(normalizeTarget(read.target)).toBe(read.target);
      for (const [i, text] of read.fields.entries()) {
        expect(text).toMatch(i % 2 === 0 ? /^[\w!#$%&'*+.^`|~-]+$/ : /^[\t\x20-\x7e\x80-\xff]*$/);
      }
    }),
  );
});
