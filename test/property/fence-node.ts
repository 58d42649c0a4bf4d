import { Readable } from 'node:stream';
import type { Clock } from '#core/clock.ts';
import type { Config, JournalEvent } from '#core/contract/event.ts';
import type { PurgeReport } from '#core/contract/report.ts';
import type { Fields } from '#core/http/fields.ts';
import { NodeLease } from '#core/node/lease.ts';
import type { Exchange } from '#core/serving/exchange.ts';
import { TierNode } from '#core/serving/tier-node.ts';
import { serveClients } from '#edge/request.ts';
import { serveEdges } from '#mid-tier/request.ts';

const SERVING = { edge: serveClients, 'mid-tier': serveEdges };

/** The same time as everybody's, at another pace and with another date. */
export const skewed = (clock: Clock, pace: number, offsetMs: number): Clock => ({
  now: () => clock.now() + offsetMs,
  monotonicMs: () => clock.monotonicMs() * pace,
  after: (delayMs, callback) => clock.after(delayMs / pace, callback),
});

/** An edge or mid-tier, with what its link to the control plane would know. */
export class ModelNode {
  readonly name: string;
  readonly tier: 'edge' | 'mid-tier';
  readonly clock: Clock;
  /** The control plane is within reach. */
  linked = true;
  /** Which of them it is. */
  controlPlane = 0;
  reachable = true;
  /** Applied, and not acknowledged. */
  unsaid: PurgeReport[] = [];
  /** When the heartbeat was sent that is answered so, `Clock.monotonicMs`. */
  beat: { readonly sentAtMs: number; readonly leaseMs: number } | undefined;
  /** Purges up to here may have been missed, so that what it holds counts as softly purged. */
  distrusted = 0;
  lease: NodeLease;
  serving: TierNode;
  config: Config | undefined;

  constructor(name: string, tier: 'edge' | 'mid-tier', clock: Clock) {
    this.name = name;
    this.tier = tier;
    this.clock = clock;
    [this.lease, this.serving] = this.#begin();
  }

  get fence(): number {
    return this.config?.sequence ?? 0;
  }

  /** A new process with an empty cache, which goes by its last good configuration. */
  restart(): void {
    const { config } = this;
    [this.lease, this.serving] = this.#begin();
    [this.unsaid, this.beat] = [[], undefined];
    if (config !== undefined) this.serving.apply(config, undefined, false);
  }

  heed(config: Config, event?: JournalEvent): void {
    const report = this.serving.apply(config, event, event === undefined);
    this.config = config;
    if (report !== undefined) this.unsaid.push(report);
    if (event === undefined) this.distrusted = config.sequence;
  }

  #begin(): [NodeLease, TierNode] {
    const { name, tier, clock } = this;
    const lease = new NodeLease(clock);
    return [lease, new TierNode({ name, tier, clock, lease, memoryBytes: 10_000_000 })];
  }
}

interface Handled {
  readonly status: number;
  readonly fields: Fields;
  readonly content: Buffer;
}

/** A request at a node, and its whole answer. */
export async function handled(
  { serving, tier }: ModelNode,
  target: string,
  sent: Fields,
): Promise<Handled> {
  const answer = Promise.withResolvers<Handled>();
  const exchange: Exchange = {
    received: { method: 'GET', target, fields: sent, encrypted: false },
    peerAddress: '127.0.0.1',
    verifiedBy: undefined,
    tlsVersion: undefined,
    content: Readable.from([]),
    signal: new AbortController().signal,
    inform: () => undefined,
    async respond(status, fields, content) {
      const chunks: Buffer[] = [];
      for await (const chunk of content) chunks.push(chunk);
      const whole = Buffer.concat(chunks);
      answer.resolve({ status, fields, content: whole });
      return { bytes: whole.length, end: 'complete' };
    },
    switchProtocols: () => Promise.reject(new Error('Nothing switches')),
  };
  SERVING[tier](serving, answer.reject).handle(exchange).catch(answer.reject);
  return answer.promise;
}
