import type { AccessEntry, LogPlace } from './entry.ts';

export const LOG_FORMATS = ['json', 'combined'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

/** A line with its end: ASCII, so that it has as many bytes as characters. */
export type FormatLine = (entry: AccessEntry, place: LogPlace) => string;

/** Characters of a text beyond which it is cut. The longest line is six times all of them, and some. */
const MOST = { target: 8192, referer: 2048, userAgent: 1024, host: 255, short: 128 } as const;
/** No line is longer. */
export const MAX_LINE_BYTES = 128 * 1024;

/** Whatever could end a text or a line, or is not ASCII. */
const UNSAFE_IN_JSON = /[^\x20\x21\x23-\x5b\x5d-\x7e]/;
const ALL_UNSAFE_IN_JSON = new RegExp(UNSAFE_IN_JSON, 'g');
/** The same, and spaces, in a request line. */
const UNSAFE_IN_REQUEST = /[^\x21\x23-\x5b\x5d-\x7e]/;
const ALL_UNSAFE_IN_REQUEST = new RegExp(UNSAFE_IN_REQUEST, 'g');

const hex = (character: string, digits: number): string =>
  character.charCodeAt(0).toString(16).padStart(digits, '0');

const cut = (text: string, most: number): string =>
  text.length > most ? text.slice(0, most) : text;

function inJson(text: string, most: number): string {
  const short = cut(text, most);
  if (!UNSAFE_IN_JSON.test(short)) return `"${short}"`;
  return `"${short.replaceAll(ALL_UNSAFE_IN_JSON, (one) => `\\u${hex(one, 4)}`)}"`;
}

/** As nginx does: `\x22` cannot be taken for the end of the text by any reader. */
const asHex = (one: string): string => `\\x${hex(one, 2)}`;

function inQuotes(text: string, most: number): string {
  if (text === '') return '"-"';
  const short = cut(text, most);
  if (!UNSAFE_IN_JSON.test(short)) return `"${short}"`;
  return `"${short.replaceAll(ALL_UNSAFE_IN_JSON, asHex)}"`;
}

function inRequestLine(text: string, most: number): string {
  const short = cut(text, most);
  return UNSAFE_IN_REQUEST.test(short) ? short.replaceAll(ALL_UNSAFE_IN_REQUEST, asHex) : short;
}

/** One object a line; what is not known is left out. The fields are in docs/logging.md. */
export const jsonLine: FormatLine = (entry, { node, location }) => {
  let line = `{"time":"${isoTime(entry.timeMs)}","node":"${node}"`;
  if (location !== '') line += `,"location":"${location}"`;
  if (entry.site !== '') line += `,"site":"${entry.site}"`;
  if (entry.client !== '') line += `,"client":${inJson(entry.client, MOST.short)}`;
  // Without these it could not be read.
  if (entry.method !== '') line += `,"method":${inJson(entry.method, MOST.short)}`;
  line += `,"scheme":"${entry.scheme}"`;
  if (entry.host !== '') line += `,"host":${inJson(entry.host, MOST.host)}`;
  if (entry.target !== '') line += `,"target":${inJson(entry.target, MOST.target)}`;
  line += `,"protocol":"HTTP/${entry.httpVersion}","status":${entry.status}`;
  line += `,"bytesSent":${entry.bytesSent}`;
  if (entry.requestBytes >= 0) line += `,"requestBytes":${entry.requestBytes}`;
  line += `,"firstByteMs":${micros(entry.firstByteMs)},"durationMs":${micros(entry.durationMs)}`;
  line += `,"end":"${entry.end}","cache":"${entry.cache}"`;
  if (entry.fwd !== '') line += `,"fwd":"${entry.fwd}"`;
  if (entry.fwdStatus !== 0) line += `,"fwdStatus":${entry.fwdStatus}`;
  if (entry.stored) line += ',"stored":true';
  if (entry.collapsed) line += ',"collapsed":true';
  if (entry.ttlSeconds !== undefined) line += `,"ttlSeconds":${entry.ttlSeconds}`;
  line += `,"detail":${inJson(entry.detail, MOST.short)}`;
  if (entry.parent !== '') line += `,"parent":${inJson(entry.parent, MOST.host)}`;
  if (entry.tls !== '') line += `,"tls":"${entry.tls}"`;
  if (entry.referer !== '') line += `,"referer":${inJson(entry.referer, MOST.referer)}`;
  if (entry.userAgent !== '') line += `,"userAgent":${inJson(entry.userAgent, MOST.userAgent)}`;
  if (entry.requestId !== '') line += `,"requestId":${inJson(entry.requestId, MOST.short)}`;
  if (entry.traceparent !== '') line += `,"traceparent":${inJson(entry.traceparent, MOST.short)}`;
  if (entry.sample < 1) line += `,"sample":${entry.sample}`;
  return `${line}}\n`;
};

/** Combined Log Format of NCSA httpd and its heirs. */
export const combinedLine: FormatLine = (entry) => {
  const client = entry.client === '' ? '-' : inRequestLine(entry.client, MOST.short);
  const bytes = entry.bytesSent === 0 ? '-' : entry.bytesSent;
  return (
    `${client} - - [${clfTime(entry.timeMs)}] "${requestLine(entry)}" ` +
    `${entry.status} ${bytes} ${inQuotes(entry.referer, MOST.referer)} ` +
    `${inQuotes(entry.userAgent, MOST.userAgent)}\n`
  );
};

function requestLine({ method, target, httpVersion }: AccessEntry): string {
  // It could not be read.
  if (method === '') return '-';
  const [how, what] = [inRequestLine(method, MOST.short), inRequestLine(target, MOST.target)];
  return `${how} ${what} HTTP/${httpVersion}`;
}

export const FORMATS: Readonly<Record<LogFormat, FormatLine>> = {
  json: jsonLine,
  combined: combinedLine,
};

/** Milliseconds to the microsecond: whole numbers are much quicker to write than fractions. */
function micros(ms: number): string {
  const all = Math.round(ms * 1000);
  const part = all % 1000;
  const whole = (all - part) / 1000;
  return part === 0 ? `${whole}` : `${whole}.${three(part)}`;
}

const three = (number: number): string =>
  number < 10 ? `00${number}` : number < 100 ? `0${number}` : `${number}`;

/** Times of one second have their beginning in common: making it takes longer than the rest of a line. */
function bySecond(make: (time: Date) => string): (timeMs: number) => string {
  let second = NaN;
  let text = '';
  return (timeMs) => {
    const its = Math.floor(timeMs / 1000);
    if (its !== second) {
      second = its;
      text = make(new Date(its * 1000));
    }
    return text;
  };
}

const isoSecond = bySecond((time) => time.toISOString().slice(0, 19));

function isoTime(timeMs: number): string {
  return `${isoSecond(timeMs)}.${three(Math.floor(timeMs) % 1000)}Z`;
}

const MONTHS = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');
const two = (number: number): string => String(number).padStart(2, '0');

const clfTime = bySecond((time) => {
  const date = `${two(time.getUTCDate())}/${MONTHS[time.getUTCMonth()]}/${time.getUTCFullYear()}`;
  return `${date}:${time.toISOString().slice(11, 19)} +0000`;
});
