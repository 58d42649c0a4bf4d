import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import type { z } from 'zod';
import type { Network } from '#core/contract/event.ts';
import { validate } from '#core/contract/validate.ts';
import { CanopyError } from '#core/errors.ts';

/** What seals texts, and what opens them: while the tier key is being rotated, others than the first, too. */
export type SealKeys = readonly [Uint8Array, ...Uint8Array[]];

const KEY_BYTES = 32;
const MAC_BYTES = 16;
/** Longer texts are nothing that was sealed here. */
const MAX_LENGTH = 1024;

const known = new WeakMap<Network, SealKeys>();

/** Keys that all nodes of a network share, made of its tier key, which they do not give away. */
export function sealKeysOf(network: Network): SealKeys {
  const found = known.get(network);
  if (found !== undefined) return found;
  const { tierKey, nextTierKey, previousTierKey } = network;
  const others = [nextTierKey, previousTierKey].filter((key) => key !== undefined);
  const keys: SealKeys = [derived(tierKey), ...others.map(derived)];
  known.set(network, keys);
  return keys;
}

const derived = (tierKey: string): Uint8Array =>
  new Uint8Array(hkdfSync('sha256', tierKey, '', 'latency beacons', KEY_BYTES));

/**
 * Text for a client to carry from one node of the network to another, readable but not to be altered.
 * @param kind text of one kind is never taken for another
 */
export function seal([key]: SealKeys, kind: string, value: object): string {
  const body = Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${body}.${macOf(key, kind, body).toString('base64url')}`;
}

/**
 * What was sealed.
 * @throws CanopyError `forbidden` for anything that no node of this network has sealed as this kind
 */
export function unseal<T extends z.ZodType>(
  keys: SealKeys,
  kind: string,
  text: string,
  schema: T,
): z.output<T> {
  const [body = '', mac = ''] = text.length > MAX_LENGTH ? [] : text.split('.', 2);
  const presented = Buffer.from(mac, 'base64url');
  const isOurs = keys.map((key) => isEqual(presented, macOf(key, kind, body))).includes(true);
  if (!isOurs) throw new CanopyError('forbidden', `This is no ${kind} of this network`);
  return validate(schema, JSON.parse(Buffer.from(body, 'base64url').toString()), kind);
}

const macOf = (key: Uint8Array, kind: string, body: string): Buffer =>
  createHmac('sha256', key).update(`${kind} ${body}`).digest().subarray(0, MAC_BYTES);

const isEqual = (a: Buffer, b: Buffer): boolean => a.length === b.length && timingSafeEqual(a, b);
