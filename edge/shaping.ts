import type { ServedSite } from '#core/cache/served-site.ts';
import type { Shaping } from '#core/cache/shaping.ts';
import type { ClientRequest } from '#core/http/request.ts';
import type { ForwardedBy } from '#core/tree/forward.ts';
import { compressionFor } from './compression/shaping.ts';
import { askingForWhole, imagesFor } from './images/shaping.ts';

/** How a request's answers are made what its client is to have. */
export interface Shaped {
  readonly shaping: Shaping | undefined;
  /** What is wanted of the cache for that. */
  readonly wanted: ClientRequest;
}

/**
 * @returns `undefined`: they are sent as they are
 * @throws CanopyError `invalid-image-parameters`
 */
export function shapingFor(
  by: { readonly forwardedBy: ForwardedBy },
  site: ServedSite,
  request: ClientRequest,
  mayCompress: boolean,
): Shaped | undefined {
  if (site.coding === undefined && !site.images.enabled) return undefined;
  const compression = compressionFor(by, site, request, mayCompress);
  const images = imagesFor(site, request, compression);
  if (images === undefined) return { shaping: compression, wanted: request };
  return { shaping: images, wanted: askingForWhole(request) };
}
