/** What is kept besides configuration, journal and purges. */
export const RECORD_KINDS = [
  'config-version',
  'audit',
  'release',
  'release-turn',
  'order-key',
  'push',
  'push-urls',
  'push-progress',
  'enrolment',
  'token-use',
  'latency',
  'latency-map',
  'certificate',
  'ticket-keys',
  'acme',
] as const;
export type RecordKind = (typeof RECORD_KINDS)[number];

export interface RecordName {
  readonly kind: RecordKind;
  /** Orders the records of a kind by its bytes, so that UUIDs of version 7 are in the order of time. */
  readonly id: string;
}

/** A record as it is given to the state; `value` is what JSON can hold. */
export interface Draft extends RecordName {
  readonly value: unknown;
}

export interface StoredRecord extends Draft {
  /** 1 at first, one more with every change. */
  readonly revision: number;
}

export interface Page {
  readonly limit: number;
  /** Begins behind the record of this id, in the order asked for. */
  readonly after?: string | undefined;
  /** Default: ascending by id. */
  readonly descending?: boolean | undefined;
}

/** Part of the state: see `StateStore` for how methods fail. */
export interface Records {
  get(name: RecordName): Promise<StoredRecord | undefined>;
  list(kind: RecordKind, page: Page): Promise<readonly StoredRecord[]>;
  /**
   * @param ifRevision what the record must have at present, 0: there must be none
   * @returns its new revision; `undefined`, and nothing is changed, where it has another than `ifRevision`
   */
  put(draft: Draft, ifRevision?: number): Promise<number | undefined>;
  /** @returns false if there is none */
  delete(name: RecordName): Promise<boolean>;
  /** Forgets all of a kind but the `keep` whose ids come last. */
  trim(kind: RecordKind, keep: number): Promise<void>;
}
