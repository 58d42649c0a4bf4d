import type { RequireToken } from '#core/contract/rules/guards.ts';
import { cookieValue } from '#core/http/cookies.ts';
import { fieldValue } from '#core/http/fields.ts';
import type { RequestFacts } from '../facts.ts';

export type Claims = Readonly<Record<string, unknown>>;

export interface TokenRequirement {
  /** Requirements of one id are the same. */
  readonly id: string;
  readonly settings: RequireToken;
  /** The token of a request, as it stands there. */
  tokenOf(request: RequestFacts): string | undefined;
  /** What a token that is valid otherwise lacks: the name of a claim. */
  lacking(claims: Claims): string | undefined;
}

export function tokenRequirement(settings: RequireToken): TokenRequirement {
  const wanted = Object.entries(settings.claims);
  return {
    id: JSON.stringify(settings),
    settings,
    tokenOf: finder(settings.from),
    lacking: (claims) => {
      const name = wanted.find(([claim, value]) => !holds(claims[claim], value))?.[0];
      if (name !== undefined) return name;
      const granted = scopesOf(claims);
      return settings.scopes.every((scope) => granted.includes(scope)) ? undefined : 'scope';
    },
  };
}

function finder(from: RequireToken['from']): TokenRequirement['tokenOf'] {
  if (from === 'header') {
    return ({ fields }) =>
      // RFC 9110 §11.1: letter case of a scheme does not count.
      /^bearer +([\w.~+/=-]+)$/i.exec(fieldValue(fields, 'authorization') ?? '')?.[1];
  }
  if ('cookie' in from) return ({ fields }) => cookieValue(fields, from.cookie);
  return (request) => request.parameter(from.query);
}

/** Whether a claim has a value, or contains it as a list. */
const holds = (claim: unknown, value: unknown): boolean =>
  Array.isArray(claim) ? claim.includes(value) : claim === value;

/** RFC 8693 §4.2; some issuers write a list, or call it `scp`. */
function scopesOf({ scope, scp }: Claims): readonly unknown[] {
  const granted = scope ?? scp;
  if (typeof granted === 'string') return granted.split(' ');
  return Array.isArray(granted) ? granted : [];
}
