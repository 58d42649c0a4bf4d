import { expect, test } from 'vitest';
import { codingPlan, codingPolicy, fieldsOfMade, varyingBy } from '#core/cache/policy/coding.ts';
import { compressionSettingsSchema } from '#core/contract/compression.ts';
import { equivalentTags, madeTag, sourceTag, withSourceTags } from '#core/http/coded-tag.ts';
import { acceptanceOf, type Coding, CODINGS } from '#core/http/content-coding.ts';

test.each<[string, string | undefined, Coding | 'identity']>([
  ['RFC 9110 §12.5.3: absent, and nobody knows what it can', undefined, 'identity'],
  ['RFC 9110 §12.5.3: empty', '', 'identity'],
  ['one', 'gzip', 'gzip'],
  ['among equals the preferred', 'gzip, deflate, zstd, br', 'br'],
  ['the highest quality', 'gzip, zstd;q=0.9, br;q=0.8', 'gzip'],
  ['RFC 9110 §12.4.2: quality 0 is not acceptable', 'br;q=0, gzip;q=0.0, zstd;q=0.001', 'zstd'],
  ['RFC 9110 §12.5.3: `*` is every coding that is not listed', '*', 'br'],
  ['`*` beside others', 'br;q=0.2, *;q=0.1', 'br'],
  ['`*` of higher quality', 'br;q=0.2, *', 'zstd'],
  ['`*` refused', 'gzip;q=0.5, *;q=0', 'gzip'],
  ['identity preferred', 'gzip;q=0.5, identity', 'identity'],
  ['identity as good', 'gzip, identity', 'gzip'],
  ['identity refused', 'identity;q=0, gzip;q=0.1', 'gzip'],
  [
    'nothing acceptable: RFC 9110 §12.5.3 lets identity be sent',
    'identity;q=0, deflate',
    'identity',
  ],
  ['nothing acceptable by `*`', '*;q=0', 'identity'],
  ['Chrome on media', 'identity;q=1, *;q=0', 'identity'],
  ['RFC 9110 §8.4.1.3: x-gzip', 'x-gzip', 'gzip'],
  ['RFC 9110 §8.4.1: case is of no matter', 'GZIP;Q=0.5', 'gzip'],
  ['white space', ' gzip ; q=0.5 ,, br ; q=0.4 ', 'gzip'],
  ['a quality that cannot be read', 'gzip;q=high', 'gzip'],
  ['more than 1 is 1', 'gzip;q=5, br', 'br'],
])('%s', (_, value, best) => {
  expect(acceptanceOf(value, CODINGS).best).toBe(best);
});

test.each<[readonly Coding[], Coding | 'identity']>([
  [['gzip', 'br'], 'gzip'],
  [['zstd'], 'zstd'],
  [['gzip', 'zstd', 'br'], 'gzip'],
])('of equals, %o decides', (preference, best) => {
  expect(acceptanceOf('br, zstd, gzip', preference).best).toBe(best);
});

const policyOf = (settings = {}) => {
  const policy = codingPolicy(compressionSettingsSchema.parse({ enabled: true, ...settings }));
  if (policy === undefined) throw new Error('It is enabled');
  return policy;
};

interface Row {
  readonly type?: string;
  readonly status?: number;
  readonly size?: number;
  readonly more?: readonly string[];
  readonly settings?: object;
}

test.each<[string, Row, boolean]>([
  ['HTML', { type: 'text/html; charset=utf-8' }, true],
  ['upper case', { type: 'Text/HTML' }, true],
  ['JSON', { type: 'application/json' }, true],
  ['WebAssembly', { type: 'application/wasm' }, true],
  ['SVG', { type: 'image/svg+xml' }, true],
  ['a JPEG', { type: 'image/jpeg' }, false],
  ['a font that is compressed', { type: 'font/woff2' }, false],
  ['an event stream, whatever the site says', { type: 'text/event-stream' }, false],
  ['no type', { type: '' }, false],
  ['a type that the site adds', { type: 'model/obj', settings: { types: ['model/*'] } }, true],
  ['a type that the site leaves out', { settings: { types: ['text/css'] } }, false],
  ['too small', { size: 1023 }, false],
  ['large enough', { size: 1024 }, true],
  ['of no known size', {}, true],
  ['too large', { size: 8 * 1024 * 1024 + 1 }, false],
  ['an error page', { status: 404 }, true],
  ['a part', { status: 206 }, false],
  ['a redirect', { status: 301 }, false],
  ['RFC 9111 §5.2.2.6', { more: ['Cache-Control', 'public, No-Transform'] }, false],
  ['what is in two codings', { more: ['Content-Encoding', 'gzip, br'] }, false],
])('compressible: %s', (_, row, expected) => {
  const { type = 'text/html', status = 200, size, more = [], settings } = row;
  const fields = ['Content-Type', type, ...more];
  const codable = policyOf(settings).codable(status, fields, size);
  expect(codable.compressible).toBe(expected);
  expect(codable.fields).toEqual(expected ? [...fields, 'Vary', 'Accept-Encoding'] : fields);
});

test.each<[string, string, boolean, boolean, string, boolean, ReturnType<typeof codingPlan>]>([
  ['to the best', 'identity', true, true, 'gzip', true, { decode: undefined, encode: 'gzip' }],
  ['nothing to do', 'identity', true, true, '', true, 'as-is'],
  ['no use', 'identity', false, true, 'gzip', true, 'as-is'],
  ['of a part nothing', 'identity', true, true, 'gzip', false, 'as-is'],
  ['compressed already', 'gzip', true, true, 'br, gzip', true, 'as-is'],
  ['unpacked', 'br', false, true, '', true, { decode: 'br', encode: undefined }],
  ['from one into another', 'br', true, true, 'zstd', true, { decode: 'br', encode: 'zstd' }],
  ['a part that is not taken', 'br', true, true, '', false, 'ask-origin'],
  ['not to be transformed, yet not taken', 'br', false, false, '', true, 'ask-origin'],
  ['a coding that is not known', 'other', false, true, '', true, 'as-is'],
])('plan: %s', (_, coding, compressible, transformable, accepts, isWhole, expected) => {
  const codable = { coding: coding as Coding, compressible, transformable };
  expect(codingPlan(codable, acceptanceOf(accepts, CODINGS), isWhole)).toEqual(expected);
});

test.each<[readonly string[], string | undefined]>([
  [[], 'Accept-Encoding'],
  [['Vary', 'Origin'], 'Origin, Accept-Encoding'],
  [['vary', 'accept-encoding, Origin'], 'accept-encoding, Origin'],
  [['Vary', '*'], '*'],
  [['Vary', 'A', 'Vary', 'B'], 'A, B, Accept-Encoding'],
])('Vary of %o', (fields, expected) => {
  const [, vary, ...more] = varyingBy(fields, 'Accept-Encoding');
  expect([vary, more.length]).toEqual([expected, 0]);
});

test('what is of the bytes that came is not said of others', () => {
  const kept = ['Content-Type', 'text/html', 'Last-Modified', 'x', 'Cache-Control', 'max-age=1'];
  const dropped = [
    'Content-Length',
    'ETag',
    'Content-MD5',
    'Digest',
    'Repr-Digest',
    'Accept-Ranges',
  ];
  expect(fieldsOfMade([...kept, ...dropped.flatMap((name) => [name, 'x'])])).toEqual(kept);
});

test.each<[string, string, string | undefined, string]>([
  ['"1"', 'br', 'deadbeef', '"1-br-deadbeef"'],
  ['"1"', 'br', undefined, 'W/"1-br"'],
  ['W/"1"', 'gzip', 'deadbeef', 'W/"1-gzip-deadbeef"'],
  ['"a, b"', 'gzip', 'deadbeef', '"a, b-gzip-deadbeef"'],
  ['""', 'zstd', undefined, 'W/"-zstd"'],
])('the tag of %s in %s', (source, form, checksum, expected) => {
  expect(madeTag(source, form, checksum)).toBe(expected);
  expect(sourceTag(expected).replace('W/', '')).toBe(source.replace('W/', ''));
});

test.each<[string, string, string]>([
  ['"1-br"', '"1-br-deadbeef"', '"1-br-deadbeef"'],
  ['W/"1-br", "x"', '"1-br-deadbeef"', '"1-br-deadbeef", "x"'],
  ['"1-br-00000000"', 'W/"1-br"', 'W/"1-br"'],
  ['"1-gzip"', '"1-br-deadbeef"', '"1-gzip"'],
  ['"2-br"', '"1-br-deadbeef"', '"2-br"'],
  ['"1"', '"1-br-deadbeef"', '"1"'],
  ['*', '"1-br-deadbeef"', '*'],
])('RFC 9110 §8.8.1: %s beside %s', (list, current, expected) => {
  expect(equivalentTags(list, current)).toBe(expected);
});

test.each<[string, string, string]>([
  ['If-None-Match', 'W/"1-br", "2"', '"1", "2"'],
  ['If-Match', 'W/"1-br", "2-gzip-deadbeef"', 'W/"1", "2"'],
  ['If-Range', '"1-br-deadbeef"', '"1-br-deadbeef"'],
])('%s: %s as the origin reads it', (name, sent, expected) => {
  const others = sent === expected ? ['If-None-Match', '"x"'] : [];
  expect(withSourceTags([name, sent, ...others])).toEqual([name, expected, ...others]);
});
