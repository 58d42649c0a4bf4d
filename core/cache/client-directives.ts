import { type RequestDirectives, requestDirectives } from '#core/http/directives.ts';
import { hasField } from '#core/http/fields.ts';
import type { Lookup } from './engine.ts';

/**
 * What a client asks of caches, where the site honours it: every cache on the way to the origin is
 * asked. What makes do with less the first one has heeded already. A thread that asks another for
 * its node has settled all that, and a slice is of the one version that is being read.
 */
export function clientDirectives({
  site,
  fromTier,
  fromSibling,
  request,
}: Pick<Lookup, 'site' | 'fromTier' | 'fromSibling' | 'request'>): RequestDirectives | undefined {
  if (!site.cache.honourClientCacheControl || fromSibling === true) return undefined;
  const directives = requestDirectives(request.fields);
  if (!fromTier) return directives;
  if (!directives.noStore && hasField(request.fields, 'if-range')) return undefined;
  return { ...directives, maxStaleSeconds: undefined, onlyIfCached: false };
}
