import { isIP } from 'node:net';
import { countryOf } from './country-of.ts';
import { GeoDatabase } from './database.ts';
import type { GeoRecord } from './record.ts';

/** What a thread is handed of a database, in memory that all threads share. */
export interface DatabaseContent {
  readonly file: string;
  readonly content: Uint8Array;
}

/** Where the addresses of clients are, as one thread of an edge knows it. */
export class NodeGeography {
  readonly #databases: readonly GeoDatabase[];

  /** @param contents asked in this order; the first that knows a thing is believed */
  constructor(contents: readonly DatabaseContent[]) {
    this.#databases = contents.map(({ file, content }) => GeoDatabase.of(file, content));
  }

  /** A file has been read anew. */
  renew({ file, content }: DatabaseContent): void {
    for (const database of this.#databases) if (database.file === file) database.replace(content);
  }

  /** Two capital letters, by the registries' word where no database knows. */
  countryOf(address: string): string | undefined {
    return this.#known(address, 'country') ?? countryOf(address);
  }

  /** The autonomous system, where a database tells. */
  asnOf(address: string): number | undefined {
    return this.#known(address, 'asn');
  }

  #known<K extends keyof GeoRecord>(address: string, key: K): GeoRecord[K] | undefined {
    const bare = address.replace(/%.*/, '').replace(/^::ffff:(?=[\d.]+$)/i, '');
    if (isIP(bare) === 0) return undefined;
    for (const database of this.#databases) {
      const known = database.match(bare).record[key];
      if (known !== undefined) return known;
    }
    return undefined;
  }
}
