import { z } from 'zod';
import { InvalidInput, validate } from '#core/contract/validate.ts';

/** One thing that a process can be told, and every way to tell it. */
export interface Setting<T extends z.ZodType = z.ZodType> {
  /** Takes text, as flags and the environment give it, and what a config file may hold. */
  readonly schema: T;
  /** Commander's notation, `--listen <host:port>`; absent for secrets that last, which never stand in argv. */
  readonly flag?: string;
  /** The environment variable. */
  readonly variable: string;
  readonly description: string;
  /** Used when nothing else says; absent: must be given, unless the schema takes `undefined`. */
  readonly default?: string | number;
  /** Given as several flags, or one text with commas. */
  readonly list?: boolean;
  /** Masked when printed, not read from a config file. */
  readonly secret?: boolean;
}

export type Settings = Readonly<Record<string, Setting>>;
export type Values<S extends Settings> = {
  readonly [Key in keyof S]: z.output<S[Key]['schema']>;
};

/** Where values can come from. Flags are by key of the setting. */
export interface Sources {
  readonly flags: Readonly<Record<string, unknown>>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly file?: { readonly name: string; readonly content: unknown };
}

export interface Resolved<S extends Settings> {
  readonly values: Values<S>;
  /** By key, before it was checked and converted. */
  readonly raw: Readonly<Record<string, unknown>>;
  /** By key: `--listen`, `CANOPY_LISTEN`, the file's name, or `default`. */
  readonly origins: Readonly<Record<string, string>>;
}

/**
 * Takes each setting from its flag, else the environment, else the file, else its default.
 * @throws InvalidInput naming each wrong setting and where its value came from
 */
export function resolveConfig<S extends Settings>(settings: S, sources: Sources): Resolved<S> {
  const file = fileSettings(settings, sources.file);
  const raw: Record<string, unknown> = {};
  const origins: Record<string, string> = {};
  for (const [key, setting] of Object.entries(settings)) {
    const [value, origin] = firstGiven(setting, [
      [sources.flags[key], flagName(setting)],
      [fromEnvironment(setting, sources.environment), setting.variable],
      [file[key], sources.file?.name ?? ''],
      [setting.default, 'default'],
    ]);
    raw[key] = value;
    origins[key] = origin;
  }
  const schema = z.object(mapValues(settings, (setting) => setting.schema));
  try {
    // The schema was made from `settings` key by key, so its output is `Values<S>`.
    const values = validate(schema, raw, 'settings') as Values<S>;
    return { values: Object.freeze(values), raw, origins };
  } catch (error) {
    throw error instanceof InvalidInput ? withOrigins(error, settings, origins) : error;
  }
}

/** Rows of key, value as it was given, and source, for people; secrets are masked. */
export function describeConfig<S extends Settings>(
  settings: S,
  { raw, origins }: Resolved<S>,
): readonly (readonly [string, string, string])[] {
  return Object.entries(settings).map(([key, setting]) => {
    const value = raw[key];
    if (value === undefined) return [key, '-', 'not set'];
    const shown = Array.isArray(value) ? value.join(' ') : plain(value);
    return [key, setting.secret === true ? '********' : shown, origins[key] ?? ''];
  });
}

/** A URL may have a password in it. */
const plain = (value: unknown): string =>
  typeof value === 'string'
    ? value.replace(/(:\/\/[^/@:]*:)[^/@]*@/, '$1********@')
    : JSON.stringify(value);

/** `--listen` of `--listen <host:port>`; empty when there is no flag. */
export const flagName = (setting: Setting): string => setting.flag?.split(' ')[0] ?? '';

function firstGiven(
  setting: Setting,
  candidates: readonly (readonly [unknown, string])[],
): readonly [unknown, string] {
  const ways = [flagName(setting), setting.variable].filter((way) => way !== '').join(' or ');
  return candidates.find(([value]) => value !== undefined) ?? [undefined, ways];
}

function fromEnvironment(setting: Setting, environment: Sources['environment']): unknown {
  const text = environment[setting.variable];
  // An empty variable is how shells and unit files say "not set".
  if (text === undefined || text === '') return undefined;
  return setting.list === true ? text.split(',').map((part) => part.trim()) : text;
}

function fileSettings(
  settings: Settings,
  file: Sources['file'],
): Readonly<Record<string, unknown>> {
  if (file === undefined || file.content === null) return {};
  const known = Object.entries(settings).filter(([, setting]) => setting.secret !== true);
  const schema = z.strictObject(
    Object.fromEntries(known.map(([key]) => [key, z.unknown().optional()])),
  );
  return validate(schema, file.content, `config file ${file.name}`);
}

function withOrigins(
  error: InvalidInput,
  settings: Settings,
  origins: Readonly<Record<string, string>>,
): InvalidInput {
  return new InvalidInput(
    'settings',
    error.issues.map((issue) => {
      const key = issue.path.split('.')[0] ?? '';
      const received = settings[key]?.secret === true ? 'another value' : issue.received;
      return { ...issue, path: `${issue.path} (${origins[key] ?? ''})`, received };
    }),
  );
}

function mapValues<V, R>(record: Readonly<Record<string, V>>, map: (value: V) => R) {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]));
}
