import type { Cancel, Clock } from '#core/clock.ts';

export interface BulkheadLimits {
  /** Requests under way. */
  readonly maxConnections: number;
  /** Requests that wait for one of them to end. */
  readonly maxQueue: number;
  /** How long they wait. */
  readonly waitMs: number;
}

/** As many requests as allowed are under way and in line, or the wait was too long. */
export class BulkheadFull extends Error {
  override readonly name = 'BulkheadFull';
}

interface Bulkhead {
  underWay: number;
  /** In the order in which they came. */
  readonly line: Set<() => void>;
}

/**
 * Bounds what one site has under way at one parent, so that an origin that hangs takes with it
 * neither the parent nor the requests of other sites.
 */
export class Bulkheads {
  readonly #clock: Clock;
  /** By parent, then by site. */
  readonly #bulkheads = new Map<string, Map<string, Bulkhead>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Requests under way at a parent, of all sites. */
  underWay(parent: string): number {
    const sites = this.#bulkheads.get(parent);
    if (sites === undefined) return 0;
    let sum = 0;
    for (const { underWay } of sites.values()) sum += underWay;
    return sum;
  }

  /** Whether a site has half of what it may have under way at some parent, or requests in line. */
  isCrowded(site: string, { maxConnections }: Pick<BulkheadLimits, 'maxConnections'>): boolean {
    for (const sites of this.#bulkheads.values()) {
      const { underWay = 0, line } = sites.get(site) ?? {};
      if (underWay * 2 >= maxConnections || (line !== undefined && line.size > 0)) return true;
    }
    return false;
  }

  /**
   * Takes a place, waiting in line if it has to.
   * @returns gives the place back, once
   * @throws BulkheadFull; the reason of `signal`
   */
  async enter(
    parent: string,
    site: string,
    limits: BulkheadLimits,
    signal: AbortSignal | undefined,
  ): Promise<Cancel> {
    signal?.throwIfAborted();
    const sites = this.#bulkheads.get(parent) ?? new Map<string, Bulkhead>();
    const bulkhead = sites.get(site) ?? { underWay: 0, line: new Set() };
    this.#bulkheads.set(parent, sites.set(site, bulkhead));
    if (bulkhead.underWay >= limits.maxConnections) {
      if (bulkhead.line.size >= limits.maxQueue) {
        throw new BulkheadFull(`${bulkhead.underWay} requests are under way, and the line is full`);
      }
      await this.#stand(bulkhead.line, limits.waitMs, signal);
    } else bulkhead.underWay++;
    let isIn = true;
    return () => {
      if (!isIn) return;
      isIn = false;
      this.#leave(bulkhead, parent, site);
    };
  }

  /** Who leaves hands the place on to the first in line. */
  #leave(bulkhead: Bulkhead, parent: string, site: string): void {
    const [first] = bulkhead.line;
    if (first !== undefined) {
      bulkhead.line.delete(first);
      first();
      return;
    }
    if (--bulkhead.underWay > 0) return;
    const sites = this.#bulkheads.get(parent);
    sites?.delete(site);
    if (sites?.size === 0) this.#bulkheads.delete(parent);
  }

  #stand(line: Set<() => void>, waitMs: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        line.delete(admitted);
        cancel();
        signal?.removeEventListener('abort', onAbort);
      };
      const admitted = (): void => {
        end();
        resolve();
      };
      const onAbort = (): void => {
        end();
        reject(signal?.reason);
      };
      const cancel = this.#clock.after(waitMs, () => {
        end();
        reject(new BulkheadFull(`none of the requests under way ended within ${waitMs} ms`));
      });
      signal?.addEventListener('abort', onAbort, { once: true });
      line.add(admitted);
    });
  }
}
