import type { Trait } from '#core/contract/rules/guards.ts';
import { cookieValue } from '#core/http/cookies.ts';
import { fieldValue } from '#core/http/fields.ts';
import { parseAddress, prefixText, shortened } from '#core/prefix.ts';
import type { RequestFacts } from '../facts.ts';

/** What those whom a limit is for are told apart by. */
export type Identify = (request: RequestFacts) => string;

/** A household or office has a /64 of IPv6, and so any of its addresses. */
const ONE_CLIENT = { ipv4: 32, ipv6: 64 };

const NAMED = {
  address: (request: RequestFacts) => network(request, ONE_CLIENT),
  token: (request: RequestFacts) => {
    const subject = request.claims?.['sub'];
    return typeof subject === 'string' ? `token ${subject}` : NAMED.address(request);
  },
  host: ({ host }: RequestFacts) => host,
  path: ({ path }: RequestFacts) => path,
  site: () => '',
} as const;

/** @param by where a request lacks the field, cookie or token, its address counts */
export function identifier(by: Trait | readonly Trait[]): Identify {
  const identify = [by].flat().map(traitOf);
  const [first] = identify;
  if (identify.length === 1 && first !== undefined) return first;
  return (request) => identify.map((one) => one(request)).join('\n');
}

/** Whether it takes a token that has been checked. */
export const needsToken = (by: Trait | readonly Trait[]): boolean => [by].flat().includes('token');

function traitOf(trait: Trait): Identify {
  if (typeof trait === 'string') return NAMED[trait];
  if ('ipv4' in trait) return (request) => network(request, trait);
  const given: (request: RequestFacts) => string | undefined =
    'header' in trait
      ? ({ fields }) => fieldValue(fields, trait.header)
      : ({ fields }) => cookieValue(fields, trait.cookie);
  return (request) => {
    const value = given(request);
    return value === undefined ? NAMED.address(request) : `given ${value}`;
  };
}

function network(
  { address }: RequestFacts,
  { ipv4, ipv6 }: { readonly ipv4: number; readonly ipv6: number },
): string {
  if (ipv4 === 32 && !address.includes(':')) return address;
  const parsed = parseAddress(address.replace(/%.*/, ''));
  return parsed === undefined
    ? address
    : prefixText(shortened(parsed, parsed.family === 4 ? ipv4 : ipv6));
}
