/**
 * A header section as name, value, name, value…: the form of node:http's `rawHeaders`, so that
 * fields travel through Canopy in the order and spelling in which they came.
 */
export type Fields = readonly string[];

/** The values of the field lines named `name` (lower case), in order. */
export function fieldLines(fields: Fields, name: string): readonly string[] {
  const lines: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    if (isNamed(fields, i, name)) lines.push(fields[i + 1] ?? '');
  }
  return lines;
}

/** The field value of `name` (lower case): its lines joined by a comma, RFC 9110 §5.3. */
export function fieldValue(fields: Fields, name: string): string | undefined {
  let value: string | undefined;
  for (let i = 0; i < fields.length; i += 2) {
    if (!isNamed(fields, i, name)) continue;
    value = value === undefined ? fields[i + 1] : `${value}, ${fields[i + 1]}`;
  }
  return value;
}

export function hasField(fields: Fields, name: string): boolean {
  for (let i = 0; i < fields.length; i += 2) if (isNamed(fields, i, name)) return true;
  return false;
}

/** All field lines but those whose lower-case name `drop` says. */
export function withoutFields(fields: Fields, drop: (name: string) => boolean): string[] {
  const kept: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? '';
    if (!drop(name.toLowerCase())) kept.push(name, fields[i + 1] ?? '');
  }
  return kept;
}

/** The same with one line named `name` in place of all that were; `undefined`: with none. */
export function withField(fields: Fields, name: string, value: string | undefined): Fields {
  const lower = name.toLowerCase();
  const others = hasField(fields, lower)
    ? withoutFields(fields, (other) => other === lower)
    : [...fields];
  if (value !== undefined) others.push(name, value);
  return others;
}

/** The members of a comma-separated list, trimmed, in lower case, empty ones left out (RFC 9110 §5.6.1). */
export function listMembers(value: string | undefined): readonly string[] {
  if (value === undefined) return [];
  return value
    .split(',')
    .map((member) => member.trim().toLowerCase())
    .filter((member) => member !== '');
}

/** Fields that concern one connection only, RFC 9110 §7.6.1 and RFC 9111 §3.1. */
export const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Request fields that concern a copy which the client has, RFC 9110 §13.1 and §14.2. */
export const CONDITIONAL: ReadonlySet<string> = new Set([
  'if-match',
  'if-none-match',
  'if-modified-since',
  'if-unmodified-since',
  'if-range',
  'range',
]);

/** The fields that may be passed on: not hop-by-hop, and not named by `Connection`. */
export function endToEndFields(fields: Fields): string[] {
  const connection = fieldValue(fields, 'connection');
  if (connection === undefined) return withoutFields(fields, (name) => HOP_BY_HOP.has(name));
  const named = namedBy(connection);
  return withoutFields(fields, (name) => HOP_BY_HOP.has(name) || named.has(name));
}

/**
 * The fields without those that `Connection` names beside the hop-by-hop ones: they are not passed
 * on, so nothing may be told apart by them.
 */
export function withoutConnectionFields(fields: Fields): Fields {
  const connection = fieldValue(fields, 'connection');
  if (connection === undefined || connection === 'keep-alive' || connection === 'close') {
    return fields;
  }
  const named = namedBy(connection);
  for (const name of [...HOP_BY_HOP, 'close']) named.delete(name);
  return named.size === 0 ? fields : withoutFields(fields, (name) => named.has(name));
}

function namedBy(connection: string): Set<string> {
  const named = new Set(listMembers(connection));
  // A sender may not make us drop what a message cannot do without, RFC 9110 §7.6.1.
  for (const name of ['host', 'content-length', 'cache-control', 'age', 'date']) named.delete(name);
  return named;
}

function isNamed(fields: Fields, index: number, name: string): boolean {
  const candidate = fields[index];
  return (
    candidate !== undefined &&
    candidate.length === name.length &&
    (candidate === name || candidate.toLowerCase() === name)
  );
}
