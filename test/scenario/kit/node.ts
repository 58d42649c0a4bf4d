import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config, JournalEvent } from '#core/contract/event.ts';
import type { PurgeReport } from '#core/contract/report.ts';
import type { Tier } from '#core/contract/node.ts';
import { handleRequest as handleAtEdge } from '#edge/request.ts';
import { handleRequest as handleAtMidTier } from '#mid-tier/request.ts';
import { listen, type Listener } from '#core/serving/listener.ts';
import { openDisk, type OpenDisk } from '#test/disk/support.ts';
import { type CountryOf, TierNode } from '#core/serving/tier-node.ts';
import { type RequestOptions, send, type Sight } from './client.ts';
import type { FakeClock } from './clock.ts';

const HANDLERS = { edge: handleAtEdge, 'mid-tier': handleAtMidTier };

/** An edge or mid-tier in this process: the code that a node's thread runs, on the test's clock. */
export class ScenarioNode {
  readonly name: string;
  readonly tier: Tier & keyof typeof HANDLERS;
  readonly errors: unknown[] = [];
  readonly #node: TierNode;
  readonly #lease: { hasEnded: boolean };
  readonly #missed: [Config, JournalEvent | undefined][] = [];
  readonly #spillDir = join(tmpdir(), `canopy-scenario-${randomUUID()}`);
  readonly #disk: OpenDisk | undefined;
  #lagging = false;
  #listener: Listener | undefined;
  #port = 0;

  /** One that keeps what it stores on disk, too, where `CANOPY_SCENARIO_STORE` is `disk`. */
  static async open(
    name: string,
    tier: Tier & keyof typeof HANDLERS,
    clock: FakeClock,
    memory: number,
    countryOf: CountryOf,
    mayUseDisk: boolean,
  ): Promise<ScenarioNode> {
    const isOnDisk = mayUseDisk && process.env['CANOPY_SCENARIO_STORE'] === 'disk';
    const disk = isOnDisk ? await openDisk({ clock }) : undefined;
    const node = new ScenarioNode(name, tier, clock, memory, countryOf, disk);
    const fence = await disk?.store.recall();
    if (fence !== undefined) node.#node.recall(fence);
    return node;
  }

  private constructor(
    name: string,
    tier: Tier & keyof typeof HANDLERS,
    clock: FakeClock,
    memory: number,
    countryOf: CountryOf,
    disk: OpenDisk | undefined,
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
      ...(disk !== undefined && { disk: disk.store }),
      spill: { dir: this.#spillDir, bytes: 1024 ** 3 },
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }
  get node(): TierNode {
    return this.#node;
  }

  /** Bytes that memory holds of what is stored. */
  get memoryBytes(): number {
    return this.#node.engine.store.stats()[0]?.bytes ?? 0;
  }

  get(target: string, headers: Readonly<Record<string, string>> = {}): Sight {
    return this.send(target, { headers });
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
      handle: (exchange) => HANDLERS[this.tier](this.#node, exchange),
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
    await this.#node.close();
    await this.#disk?.close();
    await rm(this.#spillDir, { recursive: true, force: true });
  }
}
