import type { Volume } from '#core/cache/store.ts';
import { inPages, recordCost, type KeyRecord } from './record.ts';
import { fileBytes } from './blocks.ts';

/** In which order objects leave: those of the reserve do not for want of room. */
export const QUEUES = ['small', 'main', 'reserve'] as const;
export type Queue = (typeof QUEUES)[number];

/** What a store holds, kept with it so that it is exact whatever happens to the process. */
export interface Totals {
  readonly objects: number;
  readonly files: number;
  /** Bytes on disk of the files, and of the records of the index. */
  readonly fileBytes: number;
  readonly recordBytes: number;
  /** Both, by queue. */
  readonly queued: Readonly<Record<Queue, number>>;
}

export const NO_TOTALS: Totals = {
  objects: 0,
  files: 0,
  fileBytes: 0,
  recordBytes: 0,
  queued: { small: 0, main: 0, reserve: 0 },
};

/** What one key costs. */
export interface Cost {
  readonly objects: number;
  readonly files: readonly number[];
  readonly fileBytes: number;
  readonly recordBytes: number;
}

export const costOf = ({ variants }: KeyRecord, encodedBytes: number): Cost => {
  const sizes = new Map<number, number>();
  for (const { at } of variants) if (at.file !== undefined) sizes.set(at.file, at.size);
  let bytes = 0;
  for (const size of sizes.values()) bytes += fileCost(size);
  return {
    objects: variants.length,
    files: [...sizes.keys()],
    fileBytes: bytes,
    recordBytes: recordCost(encodedBytes),
  };
};

/** What a body of `size` bytes costs on disk as a file: whole pages, and its entry in the folder. */
export const fileCost = (size: number): number => inPages(fileBytes(size)) + 512;

/** The changes that one transaction makes to what is held. */
export class Ledger {
  /** Files that nothing refers to after it. */
  readonly freed: number[] = [];
  readonly sites = new Map<string, Volume>();
  #totals: Totals;

  constructor(totals: Totals) {
    this.#totals = totals;
  }

  get totals(): Totals {
    return this.#totals;
  }

  enter(sign: 1 | -1, site: string, queue: Queue, cost: Cost): void {
    const bytes = sign * (cost.fileBytes + cost.recordBytes);
    const { objects, files, fileBytes: inFiles, recordBytes, queued } = this.#totals;
    this.#totals = {
      objects: objects + sign * cost.objects,
      files: files + sign * cost.files.length,
      fileBytes: inFiles + sign * cost.fileBytes,
      recordBytes: recordBytes + sign * cost.recordBytes,
      queued: { ...queued, [queue]: queued[queue] + bytes },
    };
    const before = this.sites.get(site) ?? { objects: 0, bytes: 0 };
    this.sites.set(site, {
      objects: before.objects + sign * cost.objects,
      bytes: before.bytes + bytes,
    });
  }
}
