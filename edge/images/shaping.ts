import type { CacheEngine } from '#core/cache/engine.ts';
import { imageWish } from '#core/cache/policy/images.ts';
import type { ServedSite } from '#core/cache/served-site.ts';
import type { Shaping } from '#core/cache/shaping.ts';
import { withField } from '#core/http/fields.ts';
import type { ClientRequest } from '#core/http/request.ts';
import { type Commission, Gallery } from './gallery.ts';

const galleries = new WeakMap<CacheEngine, Gallery>();

function galleryOf(engine: CacheEngine): Gallery {
  let gallery = galleries.get(engine);
  if (gallery === undefined) galleries.set(engine, (gallery = new Gallery(engine)));
  return gallery;
}

/**
 * How an image is made that a client asks for by parameters; `undefined`: it asks for none.
 * @param asked as the client sent it
 * @param others for answers that are no images
 * @throws CanopyError `invalid-image-parameters`
 */
export function imagesFor(
  { images: settings }: ServedSite,
  asked: ClientRequest,
  others: Shaping | undefined,
): Shaping | undefined {
  if (!settings.enabled || (asked.method !== 'GET' && asked.method !== 'HEAD')) return undefined;
  const wish = imageWish(asked.target, settings);
  if (wish === undefined) return undefined;
  const commission: Commission = { settings, wish, asked };
  return {
    stored: (engine, lookup, source) =>
      galleryOf(engine).stored(lookup, source, commission) ??
      others?.stored(engine, lookup, source) ?? { kind: 'whole', object: source, request: asked },
    arriving: (engine, lookup, source, fields) =>
      galleryOf(engine).arriving(lookup, source, fields, commission) ??
      others?.arriving(engine, lookup, source, fields) ?? { kind: 'as-is', fields },
    passed: (engine, lookup, answer) => others?.passed(engine, lookup, answer) ?? answer,
    asAsked: (lookup) => others?.asAsked(lookup) ?? lookup,
  };
}

/** The image that others are made of is wanted whole, whatever part is wanted of what is made. */
export const askingForWhole = (request: ClientRequest): ClientRequest => ({
  ...request,
  fields: withField(withField(request.fields, 'Range', undefined), 'If-Range', undefined),
});
