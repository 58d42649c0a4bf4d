import { type RequestDirectives, requestDirectives } from '#core/http/directives.ts';
import type { Lookup } from './engine.ts';

/** What a client asks of caches, where the site honours it; another node asks for many. */
export function clientDirectives({
  site,
  fromTier,
  request,
}: Pick<Lookup, 'site' | 'fromTier' | 'request'>): RequestDirectives | undefined {
  if (fromTier || !site.cache.honourClientCacheControl) return undefined;
  return requestDirectives(request.fields);
}
