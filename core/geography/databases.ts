import type { Logger } from 'pino';
import type { Clock } from '#core/clock.ts';
import { messageOf } from '#core/errors.ts';
import { GeoDatabase } from './database.ts';
import { embeddedCountries } from './embedded.ts';

/** The operator's databases, read anew as their files change, and the embedded countries after them. */
export class GeoDatabases {
  readonly #given: readonly GeoDatabase[];

  private constructor(given: readonly GeoDatabase[]) {
    this.#given = given;
  }

  /** @throws CanopyError `invalid-input` for a file that is no database in MaxMind's format */
  static open(files: readonly string[]): GeoDatabases {
    return new GeoDatabases(files.map((file) => GeoDatabase.open(file)));
  }

  /** Those of the operator. */
  get given(): readonly GeoDatabase[] {
    return this.#given;
  }

  /** In the order in which they are believed. */
  get all(): readonly GeoDatabase[] {
    return [...this.#given, embeddedCountries()];
  }

  /** @param onRenewed told of each that has been read anew; one that is damaged is not */
  watch(
    clock: Clock,
    log: Pick<Logger, 'info' | 'error'>,
    onRenewed: (database: GeoDatabase) => void = () => undefined,
  ): void {
    for (const database of this.#given) {
      database.watch(clock, (problem) => {
        if (problem !== undefined) {
          log.error(`Goes on with what it has read before: ${messageOf(problem)}`);
          return;
        }
        log.info(`Reads ${database.file} anew`);
        onRenewed(database);
      });
    }
  }

  close(): void {
    for (const database of this.#given) database.close();
  }
}
