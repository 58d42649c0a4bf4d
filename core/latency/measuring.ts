import { BlockList, isIPv6 } from 'node:net';
import { z } from 'zod';
import { CanopyError } from '#core/errors.ts';
import { type SealKeys, seal, unseal } from './seal.ts';

// How a round trip is measured so that nobody can claim one that is shorter than it is: the edge sends
// a sealed note of its own time, the client sends it back at once, and the edge takes the difference.
// The client only carries the edge's word to the router.

/** What lets a client be measured: made by a router for the network that asked it. */
const tokenSchema = z.strictObject({
  id: z.string(),
  network: z.string(),
  /** Ms since the Unix epoch. */
  until: z.number(),
});

/** An edge's note to itself, to be sent back at once. */
const echoSchema = z.strictObject({
  token: z.string(),
  edge: z.string(),
  /** By the monotonic clock of the edge. */
  sentAtMs: z.number(),
});

/** An edge's word on one round trip; of use as long as its token. */
const receiptSchema = z.strictObject({
  token: z.string(),
  network: z.string(),
  edge: z.string(),
  roundTripMs: z.number(),
});

export type Token = z.output<typeof tokenSchema>;
export type Receipt = z.output<typeof receiptSchema>;

/** What takes longer tells nothing of the way. */
const LONGEST_ROUND_TRIP_MS = 5_000;
/** No connection is faster, not even within one machine. */
const SHORTEST_ROUND_TRIP_MS = 0.1;

export const sealToken = (keys: SealKeys, token: Token): string => seal(keys, 'token', token);

/**
 * The token, if it is this client's and still counts.
 * @param now ms since the Unix epoch
 * @throws CanopyError `forbidden`
 */
export function openToken(keys: SealKeys, text: string, address: string, now: number): Token {
  const token = unseal(keys, 'token', text, tokenSchema);
  if (token.until <= now) throw new CanopyError('forbidden', 'The token has expired');
  if (!isWithin(address, token.network)) {
    throw new CanopyError('forbidden', `The token is for ${token.network} only`);
  }
  return token;
}

/** @throws CanopyError `forbidden` for a receipt that was not given for this token */
export function openReceipt(keys: SealKeys, text: string, { id, network }: Token): Receipt {
  const receipt = unseal(keys, 'receipt', text, receiptSchema);
  if (receipt.token === id && receipt.network === network) return receipt;
  throw new CanopyError('forbidden', 'The receipt was given for another token');
}

export interface Measured {
  /** To be sent back at once, for the next round trip. */
  readonly echo: string;
  /** Of the round trip that has just ended, if one has. */
  readonly receipt?: string;
  readonly roundTripMs?: number;
}

/**
 * An edge's part in it.
 * @param sent the echo that the client sends back, if it had one
 * @param monotonicMs as exactly as it is known
 * @throws CanopyError `forbidden` for an echo that is none of this edge's for this token
 */
export function measured(
  keys: SealKeys,
  edge: string,
  { id, network }: Token,
  sent: string | undefined,
  monotonicMs: number,
): Measured {
  const echo = seal(keys, 'echo', { token: id, edge, sentAtMs: monotonicMs });
  if (sent === undefined) return { echo };
  const before = unseal(keys, 'echo', sent, echoSchema);
  if (before.token !== id || before.edge !== edge) {
    throw new CanopyError('forbidden', `The echo was not sent by "${edge}" for this token`);
  }
  const roundTripMs = rounded(monotonicMs - before.sentAtMs);
  // Another process of this name may have sent it, or this one before the machine was restarted.
  if (roundTripMs < SHORTEST_ROUND_TRIP_MS || roundTripMs > LONGEST_ROUND_TRIP_MS) return { echo };
  const receipt = seal(keys, 'receipt', { token: id, network, edge, roundTripMs });
  return { echo, receipt, roundTripMs };
}

function isWithin(address: string, network: string): boolean {
  const [first = '', length] = network.split('/');
  const list = new BlockList();
  list.addSubnet(first, Number(length), isIPv6(first) ? 'ipv6' : 'ipv4');
  const plain = address.replace(/%.*/, '');
  return list.check(plain, isIPv6(plain) ? 'ipv6' : 'ipv4');
}

const rounded = (ms: number): number => Math.round(ms * 10) / 10;
