import { cookieValue } from '#core/http/cookies.ts';
import { fieldValue } from '#core/http/fields.ts';
import type { RequestFacts } from './facts.ts';

/** A text made of what is known of a request; what there is none of is empty. */
export type Template = (request: RequestFacts) => string;

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

/** Whether `${…}` in `text` are variables, all of them. */
export const isTemplate = (text: string): boolean =>
  text.split(VARIABLE).every((part, i) => i % 2 === 0 || variable(part) !== undefined);

/** @param text for which `isTemplate` holds */
export function templateOf(text: string): Template {
  const parts = text
    .split(VARIABLE)
    .map((part, i): Template => (i % 2 === 0 ? () => part : (variable(part) ?? (() => ''))));
  return (request) => parts.map((part) => part(request)).join('');
}
