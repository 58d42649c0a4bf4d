import { type Fields, fieldValue, withoutFields } from '#core/http/fields.ts';
import type { RequestFacts } from './facts.ts';

/** An answer that gives the client the cookies it is to be known by; no cache but its own may keep it. */
export function givingCookies(fields: Fields, { givenCookies, scheme }: RequestFacts): Fields {
  const secure = scheme === 'https' ? '; Secure' : '';
  const cookies = [...(givenCookies ?? [])].flatMap(([name, { value, forSeconds }]) => [
    'Set-Cookie',
    `${name}=${value}; Max-Age=${forSeconds}; Path=/; HttpOnly; SameSite=Lax${secure}`,
  ]);
  const control = fieldValue(fields, 'cache-control');
  return [
    ...withoutFields(fields, (name) => name === 'cache-control'),
    'Cache-Control',
    control === undefined ? 'private' : `${control}, private`,
    ...cookies,
  ];
}
