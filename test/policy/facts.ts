import { responseFacts, type ResponseFacts } from '#core/cache/policy/response.ts';
import { type CacheSettings, cacheSettingsSchema } from '#core/contract/cache-settings.ts';
import { formatDate } from '#core/http/dates.ts';

/** When the responses of policy tests come, ms since the epoch. */
export const RECEIVED_AT = Date.UTC(2026, 0, 1);

export const at = (offsetSeconds: number): string => formatDate(RECEIVED_AT + offsetSeconds * 1000);

/** A response with a `Date` of now and these fields. */
export function response(
  fields: Readonly<Record<string, string>> = {},
  status = 200,
): ResponseFacts {
  const all = { Date: at(0), ...fields };
  return responseFacts(status, Object.entries(all).flat(), RECEIVED_AT);
}

export const cacheSettings = (settings: Partial<CacheSettings> = {}): CacheSettings =>
  cacheSettingsSchema.parse(settings);
