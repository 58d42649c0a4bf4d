import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DiskStore } from '#core/cache/disk/disk-store.ts';
import type { Config, JournalEvent } from '#core/contract/event.ts';
import type { ExplainAsked, Explained } from '#core/contract/explain.ts';
import { nodeExplained } from '#core/explain/merge.ts';
import type { Guarding } from '#core/limits/limit-memory.ts';
import type { PurgeReport } from '#core/contract/report.ts';
import type { Tier } from '#core/contract/node.ts';
import { serveClients } from '#edge/request.ts';
import { serveEdges } from '#mid-tier/request.ts';
import type { Serving } from '#core/serving/exchange.ts';
import { listen, type Listener } from '#core/serving/listener.ts';
import { openDisk, type OpenDisk } from '#test/disk/support.ts';
import { type CountryOf, TierNode } from '#core/serving/tier-node.ts';
import { type RequestOptions, send, type Sight } from './client.ts';
import type { FakeClock } from './clock.ts';
import { until } from './until.ts';

/** Hits are answered by the lane, unless told otherwise. */
const LANE = process.env['CANOPY_SCENARIO_LANE'] !== 'off';

const SERVING = { edge: serveClients, 'mid-tier': serveEdges };

/** A disk store as one thread has it. */
export interface ThreadDisk {
  readonly store: DiskStore;
  readonly tends: boolean;
  readonly dir: string;
  close(): Promise<void>;
}

/** A disk store of one thread alone. */
export async function ownDisk(clock: FakeClock): Promise<ThreadDisk> {
  const { store, close, dir } = await openDisk({ clock });
  return { store, dir, tends: true, close };
}

/** A disk store as another thread than the one that has opened it has it. */
export function sharedDisk({ keeper, dir }: OpenDisk, slot: number): ThreadDisk {
  const { place, port } = keeper.connect(slot);
  const store = new DiskStore(place, port);
  return { store, dir, tends: false, close: () => store.close() };
}

/** An edge or mid-tier in this process: the code that a node's thread runs, on the test's clock. */
export class ScenarioNode {
  readonly name: string;
  readonly tier: Tier & keyof typeof SERVING;
  readonly errors: unknown[] = [];
  readonly #node: TierNode;
  readonly #serving: Serving;
  readonly #lease: { hasEnded: boolean };
  readonly #missed: [Config, JournalEvent | undefined][] = [];
  readonly #spillDir = join(tmpdir(), `canopy-scenario-${randomUUID()}`);
  readonly #disk: ThreadDisk | undefined;
  #lagging = false;
  #listener: Listener | undefined;
  #port = 0;

  /**
   * @param disk where it keeps what it stores, too
   * @param guarding what it counts clients in, with others
   */
  static async open(
    name: string,
    tier: Tier & keyof typeof SERVING,
    clock: FakeClock,
    memory: number,
    countryOf: CountryOf,
    disk: ThreadDisk | undefined,
    guarding?: Guarding,
  ): Promise<ScenarioNode> {
    const node = new ScenarioNode(name, tier, clock, memory, countryOf, disk, guarding);
    const fence = await disk?.store.recall();
    if (fence !== undefined) node.#node.recall(fence);
    return node;
  }

  private constructor(
    name: string,
    tier: Tier & keyof typeof SERVING,
    clock: FakeClock,
    memory: number,
    countryOf: CountryOf,
    disk: ThreadDisk | undefined,
    guarding: Guarding | undefined,
  ) {
    this.name = name;
    this.tier = tier;
    this.#disk = disk;
    const lease = { hasEnded: false };
    this.#lease = lease;
    this.#node = new TierNode({
      name,
      tier,
      clock,
      memoryBytes: memory,
      lease: { ended: () => lease.hasEnded },
      countryOf,
      guarding,
      ...(disk !== undefined && { disk: disk.store, tendsDisk: disk.tends }),
      spill: { dir: this.#spillDir, bytes: 1024 ** 3 },
    });
    this.#serving = SERVING[tier](this.#node, (error) => this.errors.push(error));
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }
  /** Where its disk store is. */
  get diskDir(): string {
    if (this.#disk === undefined) throw new Error('The node has no disk store');
    return this.#disk.dir;
  }
  get node(): TierNode {
    return this.#node;
  }

  /** Resolves when so many objects are stored: what was purged is swept from disk later than from memory. */
  stores(objects: number): Promise<void> {
    return until(() => this.#node.engine.store.volume().objects === objects);
  }

  /** Bytes that memory holds of what is stored. */
  get memoryBytes(): number {
    return this.#node.engine.store.stats()[0]?.bytes ?? 0;
  }

  get(target: string, headers: Readonly<Record<string, string>> = {}): Sight {
    return this.send(target, { headers });
  }

  /** What the node says that it would do; `asked` as of a client, or of another node. */
  async explain(asked: ExplainAsked): Promise<Explained> {
    return nodeExplained([await this.#serving.explain(asked)]);
  }

  send(target: string, options: RequestOptions): Sight {
    return send(this.url, target, options);
  }

  /** Heeds an event of the journal, unless the node lags: then when it catches up. */
  apply(config: Config, event: JournalEvent | undefined): PurgeReport | undefined {
    if (this.#lagging) {
      this.#missed.push([config, event]);
      return undefined;
    }
    return this.#node.apply(config, event, false);
  }

  /** From now on the journal does not reach this node. */
  lags(): void {
    this.#lagging = true;
  }

  catchesUp(): void {
    this.#lagging = false;
    for (const [config, event] of this.#missed.splice(0)) this.apply(config, event);
  }

  losesLease(): void {
    this.#lease.hasEnded = true;
  }

  async up(): Promise<void> {
    this.#listener = await listen({
      host: '127.0.0.1',
      port: this.#port,
      handle: this.#serving.handle,
      ...(LANE && { lane: this.#serving.lane }),
      onError: (error) => this.errors.push(error),
    });
    this.#port = this.#listener.port;
  }

  /** Refuses connections and cuts those it has. */
  async down(): Promise<void> {
    await this.#listener?.close(0);
    this.#listener = undefined;
  }

  async end(): Promise<void> {
    await this.down();
    await this.#serving.close?.();
    await this.#node.close();
    await this.#disk?.close();
    await rm(this.#spillDir, { recursive: true, force: true });
  }
}
