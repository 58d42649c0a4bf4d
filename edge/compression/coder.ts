import type { Answer } from '#core/cache/answer.ts';
import type { CacheEngine, Lookup } from '#core/cache/engine.ts';
import type { Arriving } from '#core/cache/fill.ts';
import type { FillingBody } from '#core/cache/filling-body.ts';
import { contentOf, isManifest, isPartial, sizeOf, type StoredObject } from '#core/cache/object.ts';
import {
  type Codable,
  codingPlan,
  type CodingPlan,
  type CodingPolicy,
} from '#core/cache/policy/coding.ts';
import type { AsIs, Shaped, Streamed } from '#core/cache/shaping.ts';
import type { Acceptance } from '#core/http/content-coding.ts';
import { type Fields, hasField } from '#core/http/fields.ts';
import { contentLength } from '#core/http/length.ts';
import type { ClientRequest } from '#core/http/request.ts';
import { askingFor, findMade, keepMade, madeFields, showMade } from '../made.ts';
import { Making } from './making.ts';

/** Sources up to so many bytes are compressed before the answer begins, which then has a length and can be had in parts. */
const AWAITED_BYTES = 256 * 1024;
/** Answers that are made at a time of what is stored; the thread pool has four threads. */
const MAX_STORED = 8;
/** Answers that are made at a time of what passes by, each at the pace of its source. */
const MAX_PASSING = 64;
/** What has unpacked to too much is remembered, so that the origin is asked instead. */
const MAX_BOMBS = 1000;

type Work = Exclude<CodingPlan, string>;

interface Keeping {
  readonly making: Making;
  /** What it has come to; `undefined`: it broke off. */
  readonly kept: Promise<StoredObject | undefined>;
}

/** One client's wishes. */
export interface Wish {
  readonly policy: CodingPolicy;
  readonly acceptance: Acceptance;
}

/** Makes what clients take of what a thread has: each once for all who want it. */
export class Coder {
  readonly #engine: CacheEngine;
  readonly #stored = new Map<string | symbol, Keeping>();
  readonly #arriving = new WeakMap<FillingBody, Map<string, Making>>();
  readonly #bombs = new Set<string>();
  #passing = 0;

  constructor(engine: CacheEngine) {
    this.#engine = engine;
  }

  stored(lookup: Lookup, source: StoredObject, wish: Wish): Shaped | Promise<Shaped> {
    const { request } = lookup;
    const { policy, acceptance } = wish;
    const size = sizeOf(source);
    const codable = policy.codable(source.facts.status, source.fields, size);
    const isWhole = !isPartial(source) && !isManifest(source);
    const plan = codingPlan(codable, acceptance, isWhole);
    if (plan === 'ask-origin') return plan;
    if (plan === 'as-is') return asIs(source, codable, request);
    const form = formOf(plan);
    const found = findMade(this.#engine, source, form);
    if (found !== undefined) return whole(source, codable, found, request);
    if (plan.decode === undefined && wantsRange(request)) return asIs(source, codable, request);
    if (this.#bombs.has(source.contentId ?? '')) return 'ask-origin';
    const isAwaited = size <= AWAITED_BYTES;
    if (!isAwaited && request.method === 'HEAD')
      return streamed(source.facts.status, codable, plan, request, NOTHING);
    const keeping = this.#keep(lookup, source, plan, wish);
    if (keeping === undefined) return instead(plan, () => asIs(source, codable, request));
    if (!isAwaited)
      return streamed(source.facts.status, codable, plan, request, () =>
        keeping.making.body.read(),
      );
    return keeping.kept.then((made) =>
      made === undefined
        ? instead(plan, () => asIs(source, codable, request))
        : whole(source, codable, made, request),
    );
  }

  /** The object that `stored` comes to for a whole one where nothing has to be made. */
  ready(source: StoredObject, { policy, acceptance }: Wish): StoredObject | undefined {
    const codable = policy.codable(source.facts.status, source.fields, sizeOf(source));
    const plan = codingPlan(codable, acceptance, true);
    if (plan === 'ask-origin') return undefined;
    if (plan === 'as-is') return shownAsIs(source, codable);
    const found = findMade(this.#engine, source, formOf(plan));
    return found && showMade(source, codable.fields, found);
  }

  arriving(lookup: Lookup, source: Arriving, fields: Fields, wish: Wish): Shaped | AsIs {
    const { request } = lookup;
    const { policy, acceptance } = wish;
    const codable = policy.codable(source.status, fields, source.size);
    const plan = this.#planOf(codable, acceptance, policy, source.storability === 'storable');
    const unwanted = (): void => void source.body.read().return?.();
    const sentAsIs: AsIs = { kind: 'as-is', fields: codable.fields };
    if (
      plan === 'as-is' ||
      (plan !== 'ask-origin' && plan.decode === undefined && wantsRange(request))
    )
      return sentAsIs;
    const join = plan === 'ask-origin' ? undefined : this.#join(source, plan, wish, lookup);
    if (plan === 'ask-origin' || join === undefined) {
      if (plan !== 'ask-origin' && plan.decode === undefined) return sentAsIs;
      unwanted();
      return 'ask-origin';
    }
    return { ...streamed(source.status, codable, plan, request, join), release: unwanted };
  }

  passed(
    lookup: Lookup,
    answer: Pick<Answer, 'status' | 'fields' | 'content' | 'tunnel'>,
    wish: Wish,
  ): typeof answer | 'ask-origin' {
    const { policy, acceptance } = wish;
    const { status, fields, content } = answer;
    if (answer.tunnel !== undefined || status === 206) return answer;
    const { method } = lookup.request;
    const codable = policy.codable(status, fields, contentLength(fields));
    const plan = this.#planOf(codable, acceptance, policy, false);
    if (plan === 'as-is') return { ...answer, fields: codable.fields };
    if (plan === 'ask-origin') return plan;
    if (method !== 'HEAD' && this.#passing >= MAX_PASSING) {
      return plan.decode === undefined ? { ...answer, fields: codable.fields } : 'ask-origin';
    }
    const made = madeFields(codable.fields, ownFields(plan), formOf(plan), undefined);
    if (method === 'HEAD' || isEmpty(content)) return { ...answer, fields: made };
    return {
      ...answer,
      fields: made,
      content: this.#pass(content, plan, wish, lookup).body.read(),
    };
  }

  /** @param isStored or is to be */
  #planOf(
    codable: Codable,
    acceptance: Acceptance,
    { settings }: CodingPolicy,
    isStored: boolean,
  ): CodingPlan {
    const plan = codingPlan(codable, acceptance, true);
    if (typeof plan === 'string' || isStored || settings.unstored) return plan;
    return plan.decode === undefined ? 'as-is' : { ...plan, encode: undefined };
  }

  /** What is being made of what is stored; `undefined`: there is too much under way. */
  #keep(lookup: Lookup, source: StoredObject, plan: Work, wish: Wish): Keeping | undefined {
    const form = formOf(plan);
    const id = source.contentId === undefined ? Symbol(form) : `${source.contentId} ${form}`;
    const underWay = this.#stored.get(id);
    if (underWay?.making.body.joinable === true) return underWay;
    if (this.#stored.size >= MAX_STORED) return undefined;
    const { settings } = wish.policy;
    const making = new Making(contentOf(source.body), {
      decode: plan.decode,
      encode: plan.encode && { coding: plan.encode, level: settings.storedLevels[plan.encode] },
      maxDecodedBytes: Math.min(lookup.site.cache.maxObjectBytes, MAX_UNPACKED_BYTES),
      keepsAll: true,
      flushes: false,
      spillRoom: undefined,
    });
    const kept = making.finished.then((body) => {
      this.#stored.delete(id);
      if (making.isBomb) this.#noteBomb(source);
      if (body === undefined) return undefined;
      return keepMade(this.#engine, lookup, source, form, ownFields(plan), body.chunks);
    });
    const keeping = { making, kept };
    this.#stored.set(id, keeping);
    return keeping;
  }

  /** How to read what is made of what arrives; `undefined`: there is too much under way. */
  #join(
    { body }: Arriving,
    plan: Work,
    wish: Wish,
    lookup: Lookup,
  ): Streamed['content'] | undefined {
    const form = formOf(plan);
    const makings = this.#arriving.get(body) ?? new Map<string, Making>();
    const underWay = makings.get(form);
    if (underWay?.body.joinable === true) {
      // Its own reader has the source's place.
      return () => underWay.body.read();
    }
    if (this.#passing >= MAX_PASSING) return undefined;
    return () => {
      const making = this.#pass(body.read(), plan, wish, lookup);
      this.#arriving.set(body, makings.set(form, making));
      return making.body.read();
    };
  }

  #pass(content: Answer['content'], plan: Work, { policy }: Wish, lookup: Lookup): Making {
    const { passingLevels } = policy.settings;
    this.#passing++;
    const making = new Making(content, {
      decode: plan.decode,
      encode: plan.encode && { coding: plan.encode, level: passingLevels[plan.encode] },
      maxDecodedBytes: lookup.site.cache.maxObjectBytes,
      keepsAll: false,
      flushes: true,
      spillRoom: this.#engine.spillRoom,
    });
    void making.finished.finally(() => this.#passing--);
    return making;
  }

  #noteBomb({ contentId }: StoredObject): void {
    if (contentId === undefined) return;
    if (this.#bombs.size >= MAX_BOMBS) this.#bombs.clear();
    this.#bombs.add(contentId);
  }
}

/** More than this is not unpacked into memory. */
const MAX_UNPACKED_BYTES = 16 * 1024 * 1024;

const NOTHING = (): readonly Buffer[] => [];

const formOf = ({ encode }: Work): string => encode ?? 'identity';

const ownFields = ({ encode }: Work): Fields =>
  encode === undefined ? [] : ['Content-Encoding', encode];

const wantsRange = ({ method, fields }: ClientRequest): boolean =>
  method === 'GET' && hasField(fields, 'range');

const isEmpty = (content: Answer['content']): boolean =>
  Array.isArray(content) && content.length === 0;

/** What is sent where nothing is made: as it is, if the client takes that. */
const instead = (plan: Work, asIt: () => Shaped): Shaped =>
  plan.decode === undefined ? asIt() : 'ask-origin';

const shownAsIs = (source: StoredObject, { fields }: Codable): StoredObject =>
  fields === source.fields ? source : { ...source, fields };

const asIs = (source: StoredObject, codable: Codable, request: ClientRequest): Shaped => ({
  kind: 'whole',
  object: shownAsIs(source, codable),
  request,
});

function whole(
  source: StoredObject,
  { fields }: Codable,
  made: StoredObject,
  request: ClientRequest,
): Shaped {
  const object = showMade(source, fields, made);
  return { kind: 'whole', object, request: askingFor(request, object.fields) };
}

function streamed(
  status: number,
  codable: Codable,
  plan: Work,
  request: ClientRequest,
  content: Streamed['content'],
): Streamed {
  const fields = madeFields(codable.fields, ownFields(plan), formOf(plan), undefined);
  return {
    kind: 'streamed',
    status,
    fields,
    content,
    release: () => undefined,
    request: askingFor(request, fields),
  };
}
