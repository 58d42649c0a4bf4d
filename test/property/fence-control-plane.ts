import { Journal } from '#control-plane/journal/journal.ts';
import { NodeLeases } from '#control-plane/journal/leases.ts';
import { Purges } from '#control-plane/purge/purges.ts';
import type { StateStore } from '#control-plane/state/store.ts';
import type { Clock } from '#core/clock.ts';
import { applyEvent } from '#core/node/config.ts';
import { LOAD, silent } from '#test/control-plane/kit.ts';
import type { ModelNode } from './fence-node.ts';

const LEASE_MS = 10_000;

/** A control plane, which hears of what another has done to the state only when it is told to look. */
export class ModelControlPlane {
  readonly journal: Journal;
  readonly leases: NodeLeases;
  readonly purges: Purges;

  private constructor(journal: Journal, leases: NodeLeases, purges: Purges) {
    this.journal = journal;
    this.leases = leases;
    this.purges = purges;
  }

  static async open(store: StateStore, clock: Clock): Promise<ModelControlPlane> {
    const journal = await Journal.open(store, clock);
    const leases = await NodeLeases.open({
      clock,
      leaseMs: LEASE_MS,
      standings: store.standings,
      nodes: () => journal.config.nodes,
    });
    const purges = await Purges.open({ store, journal, leases, clock, log: silent });
    return new ModelControlPlane(journal, leases, purges);
  }

  async hear(): Promise<void> {
    await this.journal.catchUp();
    await this.purges.settle();
  }

  /** The node opens its stream. */
  async resume(node: ModelNode, fence = node.fence): Promise<void> {
    // It may have been told so far by another.
    if (node.fence > this.journal.config.sequence) await this.journal.catchUp();
    await this.leases.resumed(this.#known(node), fence);
    await this.purges.settle();
  }

  async deliver(node: ModelNode): Promise<void> {
    if (node.config === undefined) return;
    const [event] = (await this.journal.events(node.fence, 1)) ?? [];
    if (event !== undefined) node.heed(applyEvent(node.config, event), event);
  }

  async acknowledge(node: ModelNode): Promise<void> {
    const purges = node.unsaid.splice(0);
    await this.purges.acknowledge(this.#known(node), { fence: node.fence, purges, refusals: [] });
  }

  /** The node sends a heartbeat, or the answer to its last one reaches it. */
  async beat(node: ModelNode): Promise<void> {
    const { lease, clock, fence, beat } = node;
    node.beat = undefined;
    if (beat !== undefined) return lease.granted(beat.sentAtMs, beat.leaseMs);
    if (!node.linked) return;
    const sentAtMs = clock.monotonicMs();
    const well = { parents: [], refusals: [], missingCertificates: [], ailments: [], answers: [] };
    const heartbeat = { fence, pid: 1, version: '1', load: LOAD, ...well };
    if (!(await this.leases.heartbeat(this.#known(node), heartbeat))) return;
    node.beat = { sentAtMs, leaseMs: LEASE_MS };
  }

  #known({ name }: ModelNode) {
    const node = this.journal.config.nodes.find((known) => known.name === name);
    if (node === undefined) throw new Error(`There is no node ${name}`);
    return node;
  }
}
