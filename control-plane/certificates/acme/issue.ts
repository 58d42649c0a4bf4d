import { Agent } from 'node:https';
import * as acme from 'acme-client';
import { CanopyError } from '#core/errors.ts';
import type { Account, Order } from './records.ts';
import type { Challenges, Proof } from './challenges.ts';

/** Between two looks at what the authority makes of an order. */
const BACKOFF_MS = { backoffMin: 500, backoffMax: 10_000 };

export interface IssuedCertificate {
  /** Both PEM. */
  readonly chain: string;
  readonly key: string;
}

export const newAccountKey = async (): Promise<string> =>
  String(await acme.crypto.createPrivateEcdsaKey());

/**
 * Orders a certificate, proves that its names are ours, and has it issued (RFC 8555 §7).
 * @throws CanopyError `upstream-unreachable`, and Error with what the authority says against it
 */
export async function issue(
  account: Account,
  order: Pick<Order, 'names' | 'challenge'>,
  challenges: Pick<Challenges, 'present' | 'remove'>,
): Promise<IssuedCertificate> {
  try {
    return await issueFrom(account, order, challenges);
  } catch (cause) {
    // What the library makes of a connection that fails again and again.
    if (!(cause instanceof TypeError)) throw cause;
    throw new CanopyError('upstream-unreachable', `${account.directoryUrl} does not answer`, {
      cause,
    });
  }
}

async function issueFrom(
  account: Account,
  { names, challenge }: Pick<Order, 'names' | 'challenge'>,
  challenges: Pick<Challenges, 'present' | 'remove'>,
): Promise<IssuedCertificate> {
  const { directoryUrl, accountKey, contact, ca } = account;
  // The library has one client of HTTP for all.
  acme.axios.defaults.httpsAgent = new Agent(ca === undefined ? {} : { ca });
  const client = new acme.Client({ directoryUrl, accountKey, ...BACKOFF_MS });
  await client.createAccount({
    termsOfServiceAgreed: true,
    contact: contact.map((address) => `mailto:${address}`),
  });
  const order = await client.createOrder({
    identifiers: names.map((value) => ({ type: 'dns', value })),
  });
  for (const authorization of await client.getAuthorizations(order)) {
    if (authorization.status !== 'valid') await prove(client, authorization, challenge, challenges);
  }
  const [key, csr] = await acme.crypto.createCsr(
    { altNames: [...names] },
    await acme.crypto.createPrivateEcdsaKey(),
  );
  const finalized = await client.finalizeOrder(order, csr);
  return { chain: await client.getCertificate(finalized), key: String(key) };
}

async function prove(
  client: acme.Client,
  authorization: acme.Authorization,
  type: Order['challenge'],
  challenges: Pick<Challenges, 'present' | 'remove'>,
): Promise<void> {
  const challenge = authorization.challenges.find((one) => one.type === type);
  const { value: name } = authorization.identifier;
  if (challenge === undefined) throw new Error(`The authority does not offer ${type} for ${name}`);
  const answer = await client.getChallengeKeyAuthorization(challenge);
  const proof: Proof =
    type === 'http-01'
      ? { type, token: challenge.token, keyAuthorization: answer }
      : { type, name, value: answer };
  await challenges.present(proof);
  try {
    await client.completeChallenge(challenge);
    await client.waitForValidStatus(challenge);
  } finally {
    await challenges.remove(proof);
  }
}
