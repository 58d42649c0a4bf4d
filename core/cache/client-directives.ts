import { type RequestDirectives, requestDirectives } from '#core/http/directives.ts';
import type { Lookup } from './engine.ts';

/**
 * What a client asks of caches, where the site honours it. Another node asks for many, save where it
 * was told to store nothing and passes that on.
 */
export function clientDirectives({
  site,
  fromTier,
  request,
}: Pick<Lookup, 'site' | 'fromTier' | 'request'>): RequestDirectives | undefined {
  if (!site.cache.honourClientCacheControl) return undefined;
  const directives = requestDirectives(request.fields);
  return fromTier && !directives.noStore ? undefined : directives;
}
