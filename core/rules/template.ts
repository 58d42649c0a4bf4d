import { cookieValue } from '#core/http/cookies.ts';
import { fieldValue } from '#core/http/fields.ts';
import type { RequestFacts } from './facts.ts';

/** Variables of one place only, such as what a path was matched by, and their values. */
export type Values = Readonly<Record<string, string>>;

/** A text made of what is known of a request; what there is none of is empty. */
export type Template = (request: RequestFacts, more?: Values) => string;

/** The value of a variable in the spelling that the text around it needs. */
export type Encode = (value: string, variable: string) => string;

const PLAIN: Readonly<Record<string, Template>> = {
  'client.address': ({ address }) => address,
  'client.country': ({ country }) => country,
  'client.asn': ({ asn }) => (asn === undefined ? '' : String(asn)),
  'client.device': ({ deviceClass }) => deviceClass,
  'request.method': ({ method }) => method,
  'request.scheme': ({ scheme }) => scheme,
  'request.host': ({ host }) => host,
  'request.target': ({ target }) => target,
  'request.path': ({ path }) => path,
  'request.query': ({ query }) => query,
};

/** Variables that have a name behind them. */
const NAMED: Readonly<Record<string, (name: string) => Template>> = {
  'request.header.': (name) => {
    const lower = name.toLowerCase();
    return ({ fields }) => fieldValue(fields, lower) ?? '';
  },
  'request.cookie.':
    (name) =>
    ({ fields }) =>
      cookieValue(fields, name) ?? '',
  'token.':
    (name) =>
    ({ claims }) => {
      const value = claims?.[name];
      return typeof value === 'string' || typeof value === 'number' ? fieldText(value) : '';
    },
  'request.parameter.': (name) => (request) => request.parameter(name) ?? '',
};

/** Claims are any text, fields are not. */
const fieldText = (value: string | number): string =>
  String(value).replaceAll(/[^\t\x20-\x7e]/g, (char) => encodeURIComponent(char.toWellFormed()));

/** All variables, for messages. */
export const VARIABLES = [
  ...Object.keys(PLAIN),
  ...Object.keys(NAMED).map((of) => `${of}NAME`),
].join(', ');

function variable(name: string): Template | undefined {
  if (Object.hasOwn(PLAIN, name)) return PLAIN[name];
  const prefix = Object.keys(NAMED).find((of) => name.startsWith(of) && name.length > of.length);
  return prefix === undefined ? undefined : NAMED[prefix]?.(name.slice(prefix.length));
}

const VARIABLE = /\$\{([^}]*)\}/;

/** The names in `${…}`, in their order. */
export const variablesOf = (text: string): readonly string[] =>
  text.split(VARIABLE).filter((_, i) => i % 2 === 1);

/**
 * Whether `${…}` in `text` are variables, all of them.
 * @param more those of the place where it stands
 */
export const isTemplate = (text: string, more: readonly string[] = []): boolean =>
  variablesOf(text).every((name) => more.includes(name) || variable(name) !== undefined);

const asItIs: Encode = (value) => value;

/** @param text for which `isTemplate` holds */
export function templateOf(text: string, encode = asItIs): Template {
  const parts = text.split(VARIABLE).map((part, i): Template => {
    if (i % 2 === 0) return () => part;
    const valueOf = variable(part) ?? ((_, more) => more?.[part] ?? '');
    return (request, more) => encode(valueOf(request, more), part);
  });
  return (request, more) => parts.map((part) => part(request, more)).join('');
}
