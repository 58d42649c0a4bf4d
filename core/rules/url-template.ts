import { type Encode, type Template, templateOf } from './template.ts';

/** Octets as a URL spells those that it cannot hold raw, RFC 3986 §2.1. */
const encoded = (octet: string): string =>
  `%${octet.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;

const NO_URI = /%(?![0-9A-Fa-f]{2})|[^A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=%]/g;
const NO_PARAMETER = /%(?![0-9A-Fa-f]{2})|[^A-Za-z0-9\-._~+%]/g;
const RESERVED = /[^A-Za-z0-9\-._~]/g;

/** Parts of the URL that was asked for, with their delimiters. */
const OF_URL = /^(?:request\.(?:scheme|host|target|path|query)|\d)$/;

/** What a client says outside of its URL stands for one component, whose end it cannot be. */
const encode: Encode = (value, variable) => {
  if (OF_URL.test(variable)) return value.replaceAll(NO_URI, encoded);
  const isParameter = variable.startsWith('request.parameter.');
  return value.replaceAll(isParameter ? NO_PARAMETER : RESERVED, encoded);
};

/** A template of a URL or a part of one: always of characters that a URL may hold. */
export const urlTemplate = (text: string): Template => templateOf(text, encode);
