import type { KeySettings } from '#core/contract/key-settings.ts';
import { cookieValue } from '#core/http/cookies.ts';
import { type DeviceClass, deviceClass } from '#core/http/device-class.ts';
import {
  type Fields,
  fieldValue,
  withoutConnectionFields,
  withoutFields,
} from '#core/http/fields.ts';
import { bestLanguage } from '#core/http/language.ts';
import { targetFolder } from '#core/http/query.ts';
import type { ClientRequest } from '#core/http/request.ts';

/** Upstream fields that say the class a request was put in. */
export const CLASS_FIELDS = { deviceClass: 'X-Device-Class', country: 'X-Country' } as const;

/** The country of a request whose address tells none, a code that ISO 3166 leaves to users. */
export const UNKNOWN_COUNTRY = 'ZZ';

/** How a site's requests come to their keys; made once of its settings. */
export interface Keying {
  /** A request target as the key, and what is sent upstream, has it. */
  readonly foldTarget: (target: string) => string;
  /**
   * What selects an object under its URL beside `Vary`: lower-case field names, `cookie:` before the
   * name of a cookie. Classes and languages stand under the field that says them upstream.
   */
  readonly inputs: readonly string[];
  /** `inputs` as a node tells its parent, `''` where there are none. */
  readonly keyedBy: string;
  readonly settings: KeySettings;
}

/** @param originName where it is not the main one that is asked */
export function keyingOf(settings: KeySettings, originName?: string): Keying {
  const inputs = new Set(originName === undefined ? [] : [ORIGIN]);
  for (const name of settings.headers) inputs.add(name);
  for (const name of settings.cookies) inputs.add(COOKIE + name);
  if (settings.deviceClass) inputs.add(CLASS_FIELDS.deviceClass.toLowerCase());
  if (settings.country) inputs.add(CLASS_FIELDS.country.toLowerCase());
  if (settings.language.length > 0) inputs.add('accept-language');
  return {
    foldTarget: targetFolder(settings.query, settings.sortQuery),
    inputs: [...inputs],
    keyedBy: [...inputs].join(','),
    settings,
  };
}

const COOKIE = 'cookie:';
/** The field by which an edge tells which of a site's origins is to be asked. */
export const ORIGIN_FIELD = 'Canopy-Origin';
const ORIGIN = ORIGIN_FIELD.toLowerCase();
const OF_ORIGIN = new RegExp(`^${ORIGIN}=\\+(.*)\\n`);

/** The origin that an object is of, by what it is selected by; `undefined`: the main one. */
export const originOfSelector = (selector: string): string | undefined =>
  OF_ORIGIN.exec(selector)?.[1];

/** The inputs that a node told its parent. */
export const inputsFrom = (keyedBy: string | undefined): readonly string[] =>
  keyedBy === undefined || keyedBy === '' ? [] : keyedBy.split(',').map((name) => name.trim());

/**
 * What selects, by `inputs`, the objects of one URL that a request may be answered with; a line for
 * each, so that what `Vary` selects by can follow. Values are told apart as they are: whatever the
 * origin could tell apart is another object.
 */
export function keySelector(inputs: readonly string[], fields: Fields): string {
  let selector = '';
  for (const input of inputs) {
    const value = input.startsWith(COOKIE)
      ? cookieValue(fields, input.slice(COOKIE.length))
      : fieldValue(fields, input)?.trim();
    // Absent differs from empty.
    selector += value === undefined ? `${input}=-\n` : `${input}=+${value}\n`;
  }
  return selector;
}

/**
 * The request that stands for all of its key: what the key leaves out is left out or replaced by its
 * class, so that no answer can depend on it unseen. What caches do not answer keeps its target and
 * wishes, and is told the classes.
 * @param folded the request's target, folded
 * @param country of the client, asked for only where the key has it
 */
export function foldedRequest(
  { inputs, settings }: Keying,
  request: ClientRequest,
  folded: string,
  country: () => string,
): ClientRequest {
  const shared = isShared(request);
  const target = shared ? folded : request.target;
  const passed = withoutConnectionFields(request.fields);
  const fields =
    inputs.length === 0 ? passed : foldedFields(settings, inputs, passed, country, shared);
  if (target === request.target && fields === request.fields) return request;
  return { ...request, target, fields };
}

/** Whether one answer may serve all requests of a key: those that caches answer. */
const isShared = ({ method, hasContent, upgrade }: ClientRequest): boolean =>
  (method === 'GET' || method === 'HEAD') && !hasContent && upgrade === undefined;

function foldedFields(
  settings: KeySettings,
  inputs: readonly string[],
  fields: Fields,
  country: () => string,
  shared: boolean,
): Fields {
  const replaced = new Set<string>();
  const classes: string[] = [];
  const say = (name: string, value: string): void => {
    replaced.add(name.toLowerCase());
    classes.push(name, value);
  };
  if (settings.deviceClass) {
    const device = deviceClass(fields);
    say(CLASS_FIELDS.deviceClass, device);
    if (shared) say('User-Agent', AGENT_OF_CLASS[device]);
  }
  if (settings.country) say(CLASS_FIELDS.country, country());
  if (settings.language.length > 0 && shared) {
    say('Accept-Language', bestLanguage(fieldValue(fields, 'accept-language'), settings.language));
  }
  const hints = shared && settings.deviceClass;
  const kept = withoutFields(
    fields,
    (name) =>
      replaced.has(name) || isLookalike(name, inputs) || (hints && name.startsWith('sec-ch-ua')),
  );
  return [...kept, ...classes];
}

/** A server behind CGI takes `X_Tenant` for `X-Tenant`; only the latter is part of the key. */
const isLookalike = (name: string, inputs: readonly string[]): boolean =>
  name.includes('_') && inputs.includes(name.replaceAll('_', '-'));

/** For origins that look at `User-Agent` themselves: no more of it than its class, in a spelling that they read alike. */
const AGENT_OF_CLASS: Readonly<Record<DeviceClass, string>> = {
  phone: 'Mozilla/5.0 (compatible; Canopy; phone) Mobile',
  tablet: 'Mozilla/5.0 (compatible; Canopy; tablet)',
  desktop: 'Mozilla/5.0 (compatible; Canopy; desktop)',
  bot: 'Mozilla/5.0 (compatible; Canopy; bot)',
};
