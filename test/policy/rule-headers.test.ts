import { describe, expect, test } from 'vitest';
import { ruleSchema } from '#core/contract/rules/rule.ts';
import { validate } from '#core/contract/validate.ts';
import { corsOf } from '#core/rules/cors.ts';
import { securityHeadersOf } from '#core/rules/security-headers.ts';
import { factsOf } from './rule-facts.ts';

const rule = (input: unknown) => validate(ruleSchema, input, 'rule');

function corsFor(input: object) {
  const { cors } = rule({ cors: input });
  if (cors === undefined) throw new Error('The rule has lost its cors');
  return corsOf(cors);
}
const APP = 'https://app.example.org';
const asked = (origin: string | undefined, method = 'GET', ...more: string[]) =>
  factsOf('/a', [...(origin === undefined ? [] : ['Origin', origin]), ...more], method);

describe('CORS', () => {
  test.each<[string, string, string | undefined, boolean]>([
    ['an origin', APP, APP, true],
    ['another', APP, 'https://app.example.net', false],
    ['another scheme', APP, 'http://app.example.org', false],
    ['another port', APP, `${APP}:8443`, false],
    ['a port', `${APP}:8443`, `${APP}:8443`, true],
    ['any port', `${APP}:*`, `${APP}:8443`, true],
    ['any port, its own too', `${APP}:*`, APP, true],
    ['a subdomain', 'https://*.example.org', APP, true],
    ['a subdomain of one', 'https://*.example.org', 'https://a.b.example.org', true],
    ['not the domain itself', 'https://*.example.org', 'https://example.org', false],
    ['what only ends alike', 'https://*.example.org', 'https://evilexample.org', false],
    ['what no browser sends', 'https://*.example.org', 'https://evil.net/.example.org', false],
    ['an opaque origin', 'https://*.example.org', 'null', false],
    ['no origin', APP, undefined, false],
  ])('lets in %s', (_, pattern, origin, isLet) => {
    const fields = corsFor({ origins: [pattern] }).shape([], asked(origin));
    const leave = isLet ? ['Access-Control-Allow-Origin', origin] : [];
    expect(fields).toEqual([...leave, 'Vary', 'Origin']);
  });

  test('for all says so, and varies by nothing', () => {
    const cors = corsFor({ origins: ['*'], exposedHeaders: ['X-Total'] });
    const said = ['Access-Control-Allow-Origin', '*', 'Access-Control-Expose-Headers', 'X-Total'];
    expect(cors.shape([], asked(APP))).toEqual(said);
    expect(cors.shape([], asked(undefined))).toEqual(said);
  });

  test('takes the place of what the origin says', () => {
    const fields = ['access-control-allow-origin', '*', 'Access-Control-Max-Age', '9', 'X', 'y'];
    expect(corsFor({ origins: [APP], credentials: true }).shape(fields, asked(APP))).toEqual([
      'X',
      'y',
      'Access-Control-Allow-Origin',
      APP,
      'Access-Control-Allow-Credentials',
      'true',
      'Vary',
      'Origin',
    ]);
  });

  test.each([
    [['Vary', 'Accept-Encoding'], 'Accept-Encoding,Origin'],
    [['Vary', 'accept, origin'], 'accept, origin'],
    [['Vary', '*'], '*'],
  ])('adds to %s', (fields, expected) => {
    const shaped = corsFor({ origins: [APP] }).shape(fields, asked(undefined));
    expect(shaped.filter((_, i) => i % 2 === 1).join(',')).toBe(expected);
  });

  test('answers a preflight', () => {
    const cors = corsFor({
      origins: [APP],
      methods: ['PUT'],
      headers: ['X-A', 'Content-Type'],
      exposedHeaders: ['X-B'],
      maxAgeSeconds: 60,
    });
    const preflight = ['Access-Control-Request-Method', 'PUT'];
    expect(cors.preflight(asked(APP, 'OPTIONS', ...preflight))).toEqual({
      status: 204,
      body: '',
      detail: 'cors-preflight',
      fields: [
        'Access-Control-Allow-Origin',
        APP,
        'Access-Control-Allow-Methods',
        'PUT',
        'Access-Control-Allow-Headers',
        'X-A, Content-Type',
        'Access-Control-Max-Age',
        '60',
        'Vary',
        'Origin',
      ],
    });
    const refused = cors.preflight(asked('https://evil.example', 'OPTIONS', ...preflight));
    expect(refused).toMatchObject({ status: 204, fields: ['Vary', 'Origin'] });
  });

  test.each([
    ['another method', asked(APP, 'GET', 'Access-Control-Request-Method', 'PUT')],
    ['no origin', asked(undefined, 'OPTIONS', 'Access-Control-Request-Method', 'PUT')],
    ['no method asked for', asked(APP, 'OPTIONS')],
  ])('takes a request with %s for no preflight', (_, request) => {
    expect(corsFor({ origins: [APP] }).preflight(request)).toBeUndefined();
  });
});

const securityFieldsOf = (input: object, fields: readonly string[] = []) => {
  const { securityHeaders } = rule({ securityHeaders: input });
  if (securityHeaders === undefined) throw new Error('The rule has lost its headers');
  return securityHeadersOf(securityHeaders)(fields);
};

describe('security headers', () => {
  const BASIC = [
    'Content-Security-Policy',
    "frame-ancestors 'self'",
    'X-Content-Type-Options',
    'nosniff',
    'X-Frame-Options',
    'SAMEORIGIN',
    'Referrer-Policy',
    'strict-origin-when-cross-origin',
  ];

  test('are those of the preset', () => {
    expect(securityFieldsOf({})).toEqual(BASIC);
    expect(securityFieldsOf({ preset: 'strict' }).filter((_, i) => i % 2 === 0)).toEqual([
      'Content-Security-Policy',
      'X-Content-Type-Options',
      'X-Frame-Options',
      'Referrer-Policy',
      'Permissions-Policy',
      'Cross-Origin-Opener-Policy',
      'Cross-Origin-Embedder-Policy',
      'Cross-Origin-Resource-Policy',
    ]);
  });

  test('leave what the origin says', () => {
    const fields = ['x-frame-options', 'DENY'];
    expect(securityFieldsOf({}, fields)).toEqual([
      ...fields,
      ...BASIC.filter((_, i) => i !== 4 && i !== 5),
    ]);
  });

  test('replace what the origin says where the rule has it so', () => {
    expect(securityFieldsOf({ override: true }, ['x-frame-options', 'DENY', 'A', 'b'])).toEqual([
      'A',
      'b',
      ...BASIC,
    ]);
  });

  test('are as the rule has them, or not said', () => {
    const own = { referrerPolicy: 'origin', frameOptions: null, contentSecurityPolicy: null };
    expect(securityFieldsOf(own)).toEqual([
      'X-Content-Type-Options',
      'nosniff',
      'Referrer-Policy',
      'origin',
    ]);
  });
});

test.each<[string, object, string]>([
  [
    'all origins with credentials',
    { cors: { origins: ['*'], credentials: true } },
    'cors.origins: expected no *',
  ],
  [
    'all fields with credentials',
    { cors: { origins: [APP], headers: ['*'], credentials: true } },
    'cors.headers: expected no *',
  ],
  [
    'an origin with a path',
    { cors: { origins: [`${APP}/`] } },
    'cors.origins.0: expected an origin',
  ],
  [
    'an origin without scheme',
    { cors: { origins: ['app.example.org'] } },
    'cors.origins.0: expected an origin',
  ],
  [
    'an origin in capitals',
    { cors: { origins: ['https://APP.example.org'] } },
    'cors.origins.0: expected an origin',
  ],
  [
    'an unknown policy',
    { securityHeaders: { referrerPolicy: 'never' } },
    'securityHeaders.referrerPolicy: expected',
  ],
  ['a line break', { securityHeaders: { permissionsPolicy: 'a\nb' } }, 'expected a field value'],
])('%s is refused', (_, input, message) => {
  expect(() => rule(input)).toThrow(message);
});
