import type { ServedSite } from '#core/cache/served-site.ts';
import type { Fields } from '#core/http/fields.ts';
import type { ClientRequest } from '#core/http/request.ts';
import { withoutTags } from '#core/http/tags.ts';

/** The fields of an answer that clients of the site are to see, and what it says besides. */
export function clientFields(
  { cache, secureFields }: Pick<ServedSite, 'cache' | 'secureFields'>,
  scheme: ClientRequest['scheme'],
  answered: Fields,
): Fields {
  const secured = scheme === 'https' ? secureFields : NOTHING;
  if (cache.exposeTags && secured.length === 0) return answered;
  return [...(cache.exposeTags ? answered : withoutTags(answered)), ...secured];
}

const NOTHING: Fields = [];
