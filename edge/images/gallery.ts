import { Body } from '#core/cache/body.ts';
import type { CacheEngine, Lookup } from '#core/cache/engine.ts';
import type { Arriving } from '#core/cache/fill.ts';
import { keptFields } from '#core/cache/kept-fields.ts';
import { contentOf, isManifest, isPartial, type StoredObject } from '#core/cache/object.ts';
import { varyingBy } from '#core/cache/policy/coding.ts';
import {
  formatsTaken,
  imageForm,
  type ImageWish,
  isSourceType,
} from '#core/cache/policy/images.ts';
import type { ResponseFacts } from '#core/cache/policy/response.ts';
import type { AsIs, Shaped } from '#core/cache/shaping.ts';
import type { ImageFormat, ImageSettings } from '#core/contract/images.ts';
import { CanopyError } from '#core/errors.ts';
import { type Fields, fieldValue, hasField, listMembers, withField } from '#core/http/fields.ts';
import type { ClientRequest } from '#core/http/request.ts';
import { askingFor, findMade, keepMade, showMade } from '../made.ts';
import { type Outcome, Studio } from './studio.ts';

/** One client's image. */
export interface Commission {
  readonly settings: ImageSettings;
  readonly wish: ImageWish;
  /** As the client sent it, its parameters and ranges included. */
  readonly asked: ClientRequest;
}

/** Images that could not be made, so that nobody tries again at each request. */
const MAX_FAILED = 1000;

/** Makes images of a thread's images: each once for all who want it. */
export class Gallery {
  readonly #engine: CacheEngine;
  readonly #studio = new Studio();
  readonly #making = new Map<string, Promise<StoredObject | Outcome>>();
  readonly #failed = new Set<string>();
  /** Lost once, perhaps by another's doing. */
  readonly #lost = new Set<string>();
  readonly #varying = new WeakMap<Fields, Fields>();

  constructor(engine: CacheEngine) {
    this.#engine = engine;
  }

  /** @returns `undefined`: not an image that others are made of */
  stored(
    lookup: Lookup,
    source: StoredObject,
    commission: Commission,
  ): Shaped | Promise<Shaped> | undefined {
    const { settings, wish, asked } = commission;
    const isApt = isSource(source.facts, source.fields, source.body.size, settings);
    if (!isApt || isPartial(source) || isManifest(source)) return undefined;
    const taken =
      wish.format === 'auto'
        ? formatsTaken(fieldValue(asked.fields, 'accept'), settings.formats)
        : [];
    const fields = wish.format === 'auto' ? this.#varyingByAccept(source.fields) : source.fields;
    const form = imageForm(wish, taken, settings.quality);
    const show = (made: StoredObject): Shaped => {
      const object = showMade(source, fields, made);
      return { kind: 'whole', object, request: askingFor(asked, object.fields) };
    };
    const found = findMade(this.#engine, source, form);
    if (found !== undefined) return show(found);
    return this.#make(lookup, source, form, commission, taken).then((made) => {
      if (typeof made === 'object' && 'key' in made) return show(made);
      // What would be made at another time is not to be kept in its place.
      const sent = made === 'unreadable' ? fields : withField(fields, 'Cache-Control', 'no-store');
      return { kind: 'whole', object: { ...source, fields: sent }, request: asked };
    });
  }

  /** @returns `undefined`: not an image that others are made of */
  arriving(
    lookup: Lookup,
    source: Arriving,
    fields: Fields,
    commission: Commission,
  ): Promise<Shaped | AsIs> | undefined {
    const { facts, storability, size } = source;
    if (storability !== 'storable') return undefined;
    if (!isSource(facts, fields, size ?? 0, commission.settings)) return undefined;
    // In this turn, for a body may be let go of in the next.
    return this.#received(lookup, source, fields, commission, source.body.read());
  }

  async #received(
    lookup: Lookup,
    source: Arriving,
    fields: Fields,
    commission: Commission,
    content: AsyncIterableIterator<Buffer>,
  ): Promise<Shaped | AsIs> {
    const { settings, asked } = commission;
    const chunks: Buffer[] = [];
    let bytes = 0;
    for (;;) {
      const { done, value } = await content.next().catch((error: unknown) => {
        throw new CanopyError('upstream-invalid', 'The image broke off', { cause: error });
      });
      if (done === true) break;
      chunks.push(value);
      bytes += value.length;
      if (bytes <= settings.maxSourceBytes) continue;
      return {
        kind: 'streamed',
        status: source.status,
        fields,
        content: () => continued(chunks, content),
        release: () => void content.return?.(),
        request: asked,
      };
    }
    await this.#engine.settled(lookup.key);
    const found = this.#engine.lookUp(lookup);
    const { facts, initialAgeMs, receivedAt } = source;
    const received: StoredObject = {
      key: lookup.key,
      site: lookup.site.name,
      selector: lookup.keySelector,
      fields: keptFields(fields),
      facts,
      initialAgeMs,
      receivedAt,
      softPurgedAt: undefined,
      asOf: 0,
      body: new Body(chunks),
    };
    // Purged since, or there was no room for it.
    const object = typeof found === 'string' ? received : found;
    return (
      (await this.stored(lookup, object, commission)) ?? { kind: 'whole', object, request: asked }
    );
  }

  #make(
    lookup: Lookup,
    source: StoredObject,
    form: string,
    commission: Commission,
    taken: readonly ImageFormat[],
  ): Promise<StoredObject | Outcome> {
    const { contentId } = source;
    const id = `${contentId} ${form}`;
    if (contentId !== undefined) {
      if (this.#failed.has(id)) return Promise.resolve('unreadable');
      const underWay = this.#making.get(id);
      if (underWay !== undefined) return underWay;
    }
    const making = this.#commission(lookup, source, form, commission, taken).then((outcome) => {
      if (this.#making.get(id) === making) this.#making.delete(id);
      if (contentId === undefined) return outcome;
      if (outcome === 'unreadable' || (outcome === 'lost' && this.#lost.has(id))) {
        remember(this.#failed, id);
      } else if (outcome === 'lost') remember(this.#lost, id);
      return outcome;
    });
    if (contentId !== undefined) this.#making.set(id, making);
    return making;
  }

  async #commission(
    lookup: Lookup,
    source: StoredObject,
    form: string,
    { settings, wish }: Commission,
    taken: readonly ImageFormat[],
  ): Promise<StoredObject | Outcome> {
    const { width, height, fit, quality, format } = wish;
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of contentOf(source.body)) chunks.push(chunk);
    } catch {
      return 'busy';
    }
    const outcome = await this.#studio.make({
      source: Buffer.concat(chunks),
      width,
      height,
      fit,
      quality,
      qualities: settings.quality,
      formats: format === 'auto' ? taken : format === undefined ? [] : [format],
      isAuto: format === 'auto',
      maxPixels: settings.maxSourcePixels,
    });
    if (typeof outcome === 'string') return outcome;
    const own = ['Content-Type', outcome.contentType];
    return keepMade(this.#engine, lookup, source, form, own, [outcome.content]);
  }

  #varyingByAccept(fields: Fields): Fields {
    let varying = this.#varying.get(fields);
    if (varying === undefined) this.#varying.set(fields, (varying = varyingBy(fields, 'Accept')));
    return varying;
  }
}

/** What is forgotten is tried again. */
function remember(ids: Set<string>, id: string): void {
  if (ids.size >= MAX_FAILED) ids.clear();
  ids.add(id);
}

const isSource = (
  { status, contentType }: ResponseFacts,
  fields: Fields,
  bytes: number,
  { maxSourceBytes }: ImageSettings,
): boolean =>
  status === 200 &&
  isSourceType(contentType) &&
  bytes <= maxSourceBytes &&
  !hasField(fields, 'content-encoding') &&
  !listMembers(fieldValue(fields, 'cache-control')).includes('no-transform');

async function* continued(
  chunks: readonly Buffer[],
  rest: AsyncIterableIterator<Buffer>,
): AsyncGenerator<Buffer, void, undefined> {
  try {
    yield* chunks;
    yield* rest;
  } finally {
    await rest.return?.();
  }
}
