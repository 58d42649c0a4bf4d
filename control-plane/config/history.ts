import type { Config } from '#core/contract/event.ts';
import type { Site } from '#core/contract/site.ts';
import { CanopyError } from '#core/errors.ts';
import type { Draft, RecordName, Records, StoredRecord } from '../state/records.ts';
import { type ConfigVersion, sitesAt, versionId } from './version.ts';

const KIND = 'config-version';

/** Versions that are kept; older ones are forgotten, and cannot be gone back to. */
const KEPT_VERSIONS = 1_000;
const TRIM_EVERY = 100;

/** Read at once when the history is walked back. */
const PAGE = 20;

/** A version as it stands in the state. */
export interface StoredVersion {
  readonly version: ConfigVersion;
  readonly revision: number;
}

type Moment = Pick<Config, 'sites' | 'sequence'>;

/** The versions that are kept in the state. */
export class ConfigHistory {
  readonly #records: Records;

  constructor(records: Records) {
    this.#records = records;
  }

  /** @throws CanopyError `not-found` */
  async get(number: number): Promise<StoredVersion> {
    const record = await this.#records.get(nameOf(number));
    if (record !== undefined) return toVersion(record);
    throw new CanopyError('not-found', `There is no version ${number}`);
  }

  /** The latest `limit` before `before`, newest first. */
  async list(limit: number, before?: number): Promise<readonly ConfigVersion[]> {
    const after = before === undefined ? undefined : versionId(before);
    const records = await this.#records.list(KIND, { limit, after, descending: true });
    return records.map((record) => toVersion(record).version);
  }

  async latest(): Promise<ConfigVersion | undefined> {
    return (await this.list(1))[0];
  }

  /** Versions after `number`, oldest first. */
  async since(number: number): Promise<readonly StoredVersion[]> {
    const page = { limit: KEPT_VERSIONS, after: versionId(Math.max(0, number)) };
    return (await this.#records.list(KIND, page)).map(toVersion);
  }

  /** @returns false, and nothing is changed, if it is no longer what it was */
  async update({ version, revision }: StoredVersion): Promise<boolean> {
    return (await this.#records.put(draftOf(version), revision)) !== undefined;
  }

  /** The version that came with an event; `undefined` if it came with none. */
  async bySequence(sequence: number): Promise<StoredVersion | undefined> {
    for await (const { number, sequence: first, appliedSequence } of this.#backwards()) {
      if (first === sequence || appliedSequence === sequence) return this.get(number);
      if (first < sequence) return undefined;
    }
    return undefined;
  }

  /** The version that every node is to have; 0 before the first. */
  async inEffect(moment: Moment): Promise<number> {
    for await (const { number, appliedSequence } of this.#backwards()) {
      if (appliedSequence !== null && appliedSequence <= moment.sequence) return number;
    }
    return 0;
  }

  /**
   * The sites as of a version; 0: those before the first.
   * @throws CanopyError `not-found` if it is no longer, or not yet, known
   */
  async sitesAt(number: number, moment: Moment): Promise<readonly Site[]> {
    const later: ConfigVersion[] = [];
    for await (const version of this.#backwards()) {
      if (version.number <= number) break;
      later.push(version);
    }
    const oldest = later.at(-1)?.number;
    if (oldest === undefined ? number > 0 : oldest > number + 1) await this.get(number);
    return sitesAt(moment, later, number);
  }

  /** Forgets what is too old, now and then. */
  async trim({ number }: ConfigVersion): Promise<void> {
    if (number % TRIM_EVERY === 0) await this.#records.trim(KIND, KEPT_VERSIONS);
  }

  async *#backwards(): AsyncGenerator<ConfigVersion> {
    let before: number | undefined;
    do {
      const page = await this.list(PAGE, before);
      yield* page;
      before = page.at(-1)?.number;
    } while (before !== undefined);
  }
}

export const draftOf = (version: ConfigVersion): Draft => ({
  ...nameOf(version.number),
  value: version,
});

const nameOf = (number: number): RecordName => ({ kind: KIND, id: versionId(number) });

// The state wrote it itself, checked.
const toVersion = ({ value, revision }: StoredRecord): StoredVersion => ({
  version: value as ConfigVersion,
  revision,
});
