import {
  IMAGE_FITS,
  IMAGE_FORMATS,
  type ImageFit,
  type ImageFormat,
  type ImageSettings,
} from '#core/contract/images.ts';
import { CanopyError } from '#core/errors.ts';

/** What is to be made of an image. */
export interface ImageWish {
  /** Pixels, `dpr` included. */
  readonly width: number | undefined;
  readonly height: number | undefined;
  readonly fit: ImageFit;
  /** Left out: the site's, by format. */
  readonly quality: number | undefined;
  /** `auto`: by what the client takes; `undefined`: as it is. */
  readonly format: ImageFormat | 'auto' | undefined;
}

const PARAMETERS = ['w', 'h', 'dpr', 'fit', 'q', 'format', 'preset'] as const;
type Parameter = (typeof PARAMETERS)[number];

const IMAGE_PATH = /\.(?:jpe?g|png|webp|avif|gif|tiff?)$/i;
const MAX_DPR = 4;

const nameOf = (part: string): string => part.split('=', 1)[0] ?? '';
const isOurs = (part: string): boolean => (PARAMETERS as readonly string[]).includes(nameOf(part));

/** Path and query; `undefined`: not one of an image. */
function split(
  target: string,
): { readonly path: string; readonly parts: readonly string[] } | undefined {
  const at = target.indexOf('?');
  if (at === -1) return undefined;
  const path = target.slice(0, at);
  return IMAGE_PATH.test(path) ? { path, parts: target.slice(at + 1).split('&') } : undefined;
}

/** A target as that of the image that others are made of, which is what is asked upstream, keyed and purged. */
export function sourceTarget(target: string): string {
  const image = split(target);
  if (image === undefined || !image.parts.some(isOurs)) return target;
  const others = image.parts.filter((part) => !isOurs(part));
  return others.length === 0 ? image.path : `${image.path}?${others.join('&')}`;
}

/**
 * What a target's parameters ask for; `undefined`: nothing, or not of an image.
 * @throws CanopyError `invalid-image-parameters`
 */
export function imageWish(target: string, settings: ImageSettings): ImageWish | undefined {
  const ours = split(target)?.parts.filter(isOurs) ?? [];
  if (ours.length === 0) return undefined;
  const asked = new Map<Parameter, string>();
  for (const part of ours) {
    const name = nameOf(part) as Parameter;
    if (asked.has(name)) throw refused(`${name} is given twice`);
    asked.set(name, part.slice(name.length + 1));
  }
  const presetName = asked.get('preset');
  const preset = presetName === undefined ? {} : settings.presets[presetName];
  if (preset === undefined || !isOwn(settings.presets, presetName)) {
    throw refused('preset is not one of the site');
  }
  if (settings.presetsOnly && (presetName === undefined || asked.size > 1)) {
    throw refused('the site takes nothing but preset');
  }
  const dpr = asked.has('dpr') ? number(asked, 'dpr', 1, MAX_DPR) : 1;
  const edge = (name: 'w' | 'h'): number | undefined => {
    const length = asked.has(name) ? integer(asked, name, settings.maxEdge) : preset[name];
    if (length === undefined) return undefined;
    if (asked.has(name) && settings.sizes.length > 0 && !settings.sizes.includes(length)) {
      throw refused(`${name} is none of the sizes that the site has`);
    }
    const pixels = Math.round(length * dpr);
    if (pixels > settings.maxEdge)
      throw refused(`${name} is over ${settings.maxEdge}, dpr included`);
    return pixels;
  };
  const format = oneOf(asked, 'format', [...IMAGE_FORMATS, 'auto'] as const) ?? preset.format;
  if (format !== undefined && format !== 'auto' && !settings.formats.includes(format)) {
    throw refused('format is none that the site has');
  }
  return {
    width: edge('w'),
    height: edge('h'),
    fit: oneOf(asked, 'fit', IMAGE_FITS) ?? preset.fit ?? 'cover',
    quality: asked.has('q') ? integer(asked, 'q', 100) : preset.q,
    format,
  };
}

const isOwn = (presets: object, name: string | undefined): boolean =>
  name === undefined || Object.hasOwn(presets, name);

const refused = (message: string): CanopyError =>
  new CanopyError('invalid-image-parameters', `Parameters of the image: ${message}`);

type Asked = ReadonlyMap<Parameter, string>;

function integer(asked: Asked, name: Parameter, max: number): number {
  const value = number(asked, name, 1, max);
  if (!Number.isInteger(value)) throw refused(`${name} is no whole number`);
  return value;
}

function number(asked: Asked, name: Parameter, min: number, max: number): number {
  const text = asked.get(name) ?? '';
  const value = /^\d{1,5}(?:\.\d{1,2})?$/.test(text) ? Number(text) : NaN;
  if (!(value >= min && value <= max)) throw refused(`${name} is not between ${min} and ${max}`);
  return value;
}

function oneOf<const T extends string>(
  asked: Asked,
  name: Parameter,
  values: readonly T[],
): T | undefined {
  const text = asked.get(name);
  if (text === undefined) return undefined;
  const value = values.find((one) => one === text);
  if (value === undefined) throw refused(`${name} is none of ${values.join(', ')}`);
  return value;
}

/**
 * The formats to try for `format=auto`, the smallest first: those that `Accept` names. `*` does not count,
 * since clients send it whatever they can.
 */
export function formatsTaken(
  accept: string | undefined,
  formats: readonly ImageFormat[],
): readonly ImageFormat[] {
  const named = new Set(
    (accept ?? '')
      .toLowerCase()
      .split(',')
      .map((member) => member.split(';').map((part) => part.trim()))
      .filter(([, ...parameters]) => !parameters.some((one) => /^q=0(?:\.0*)?$/.test(one)))
      .map(([type]) => type),
  );
  return (['avif', 'webp'] as const).filter(
    (format) => named.has(`image/${format}`) && formats.includes(format),
  );
}

/** Content that images are made of. Not SVG: to draw it is to run a document of the origin's choice. */
export const isSourceType = (contentType: string): boolean =>
  /^image\/(?:jpeg|png|webp|avif|gif|tiff)$/.test(contentType);

/** One image apart from all others of its source. @param taken see `formatsTaken` */
export function imageForm(
  { width, height, fit, quality, format }: ImageWish,
  taken: readonly ImageFormat[],
  defaults: ImageSettings['quality'],
): string {
  const as = format === 'auto' ? `auto(${taken.join('+')})` : (format ?? 'same');
  const by = quality ?? `${defaults.avif}+${defaults.webp}+${defaults.jpeg}`;
  return `image:${width ?? ''}x${height ?? ''},${fit},${as},${by}`;
}
