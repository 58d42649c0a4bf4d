import { createHmac } from 'node:crypto';
import { expect, test } from 'vitest';
import { signatureBase, signatureFields } from '#core/tree/signature.ts';

test('the base and the digest are those of RFC 9421 appendix B.2.5', () => {
  const parameters =
    '("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"';
  const base = signatureBase(
    [
      ['"date"', 'Tue, 20 Apr 2021 02:07:55 GMT'],
      ['"@authority"', 'example.com'],
      ['"content-type"', 'application/json'],
    ],
    parameters,
  );
  const secret = Buffer.from(
    'uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==',
    'base64',
  );
  expect(createHmac('sha256', secret).update(base).digest('base64')).toBe(
    'pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=',
  );
});

test.for<[target: string, path: string, query: string]>([
  ['/a?b=c&d', '/a', '?b=c&d'],
  ['/a', '/a', '?'],
  ['/a?', '/a', '?'],
])('%s is signed as path %s and query %s (§2.2.6, §2.2.7)', ([target, path, query]) => {
  const key = { id: 'shop', secret: 'a-secret-that-is-shared' };
  const request = { method: 'GET', authority: 'WWW.Example.org:8080', target };
  const parameters =
    '("@method" "@authority" "@path" "@query");created=1700000000;keyid="shop";alg="hmac-sha256"';
  const base = [
    '"@method": GET',
    '"@authority": www.example.org:8080',
    `"@path": ${path}`,
    `"@query": ${query}`,
    `"@signature-params": ${parameters}`,
  ].join('\n');
  const digest = createHmac('sha256', key.secret).update(base).digest('base64');
  expect(signatureFields(request, key, 1_700_000_000_999)).toEqual([
    'Signature-Input',
    `canopy=${parameters}`,
    'Signature',
    `canopy=:${digest}:`,
  ]);
});
