import { type Clock, delay } from '#core/clock.ts';
import type { JournalEvent, Network } from '#core/contract/event.ts';
import type { Tier } from '#core/contract/node.ts';
import { CanopyError } from '#core/errors.ts';
import type { Journal } from '../../journal/journal.ts';
import type { NodeLeases } from '../../journal/leases.ts';
import { routingOf, withTxtValues } from '../../routing/txt.ts';

/** How long nodes may take to heed a challenge before the authority is asked to look. */
const PATIENCE_MS = 30_000;
const LOOK_MS = 100;
const TXT_TTL_SECONDS = 1;

interface Options {
  readonly journal: Journal;
  readonly leases: NodeLeases;
  readonly clock: Clock;
}

/** Something that an authority looks for at a name. */
export type Proof =
  | { readonly type: 'http-01'; readonly token: string; readonly keyAuthorization: string }
  /** `value`: SHA-256 of the key authorization, base64url. */
  | { readonly type: 'dns-01'; readonly name: string; readonly value: string };

/** Puts proofs where authorities look: at every edge, or at our routers. */
export class Challenges {
  readonly #options: Options;

  constructor(options: Options) {
    this.#options = options;
  }

  /** @returns once all nodes in service that may be asked have it */
  async present(proof: Proof): Promise<void> {
    const events = await this.#change((network) => withProof(network, proof));
    const sequence = events.at(-1)?.sequence;
    if (sequence !== undefined) await this.#heeded(sequence, proof);
  }

  async remove(proof: Proof): Promise<void> {
    await this.#change((network) => withoutProof(network, proof));
  }

  #change(next: (network: Network) => Network): Promise<readonly JournalEvent[]> {
    return this.#options.journal.change(({ network }) => ({
      entries: [{ type: 'network.put', network: next(network) }],
    }));
  }

  async #heeded(sequence: number, { type }: Proof): Promise<void> {
    const { clock, journal, leases } = this.#options;
    const tier: Tier = type === 'http-01' ? 'edge' : 'router';
    const until = clock.monotonicMs() + PATIENCE_MS;
    for (;;) {
      const { nodes } = await leases.survey();
      const asked = new Set(
        journal.config.nodes.filter((node) => node.tier === tier).map(({ name }) => name),
      );
      const serving = nodes.filter(({ node, remainingMs }) => asked.has(node) && remainingMs > 0);
      const behind = serving.filter(({ fence }) => fence < sequence).map(({ node }) => node);
      if (behind.length === 0 && serving.length > 0) return;
      if (clock.monotonicMs() >= until) {
        const who = behind.length === 0 ? `no ${tier} is in service` : `${behind.join(', ')} lag`;
        throw new CanopyError('unavailable', `The challenge cannot be answered: ${who}`);
      }
      await delay(clock, LOOK_MS);
    }
  }
}

function withProof(network: Network, proof: Proof): Network {
  if (proof.type === 'http-01') {
    const { token, keyAuthorization } = proof;
    const others = (network.challenges ?? []).filter((one) => one.token !== token);
    return { ...network, challenges: [...others, { token, keyAuthorization }] };
  }
  return withTxt(network, proof.name, (values) => [...new Set([...values, proof.value])]);
}

function withoutProof(network: Network, proof: Proof): Network {
  if (proof.type === 'http-01') {
    const challenges = (network.challenges ?? []).filter(({ token }) => token !== proof.token);
    return { ...network, challenges };
  }
  return withTxt(network, proof.name, (values) => values.filter((value) => value !== proof.value));
}

const withTxt = (
  network: Network,
  name: string,
  change: (values: readonly string[]) => readonly string[],
): Network => ({
  ...network,
  routing: withTxtValues(routingOf(network), `_acme-challenge.${name}`, TXT_TTL_SECONDS, change),
});
