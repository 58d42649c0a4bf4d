import type { Draft, Records } from '../state/records.ts';
import type { ReleaseRecord, Turn } from './record.ts';

const PAGE = 200;
/** Behind every id of a site. */
const BEHIND = '~';

export const releaseDraft = (release: ReleaseRecord): Draft => ({
  kind: 'release',
  id: `${release.site}/${release.id}`,
  value: release,
});

/** What is kept of releases: each itself, and whose turn it is at a site. */
export class ReleaseRecords {
  readonly #records: Records;

  constructor(records: Records) {
    this.#records = records;
  }

  async find(site: string, id: string): Promise<ReleaseRecord | undefined> {
    const found = await this.#records.get({ kind: 'release', id: `${site}/${id}` });
    return found?.value as ReleaseRecord | undefined;
  }

  async put(release: ReleaseRecord): Promise<void> {
    await this.#records.put(releaseDraft(release));
  }

  async delete({ site, id }: ReleaseRecord): Promise<void> {
    await this.#records.delete({ kind: 'release', id: `${site}/${id}` });
  }

  /** Of a site, newest first. @param after begins behind that of this id */
  async latest(site: string, limit: number, after = BEHIND): Promise<readonly ReleaseRecord[]> {
    const page = { limit, after: `${site}/${after}`, descending: true };
    const found = await this.#records.list('release', page);
    return found
      .filter(({ id }) => id.startsWith(`${site}/`))
      .map(({ value }) => value as ReleaseRecord);
  }

  /** All of a site, newest first. */
  async of(site: string): Promise<readonly ReleaseRecord[]> {
    const all: ReleaseRecord[] = [];
    for (;;) {
      const page = await this.latest(site, PAGE, all.at(-1)?.id);
      all.push(...page);
      if (page.length < PAGE) return all;
    }
  }

  /** Sites that have had releases. */
  async sites(): Promise<readonly string[]> {
    const sites: string[] = [];
    for (let after = ''; ;) {
      const [first] = await this.#records.list('release', { limit: 1, after });
      if (first === undefined) return sites;
      const { site } = first.value as ReleaseRecord;
      sites.push(site);
      after = `${site}/${BEHIND}`;
    }
  }

  async turn(
    site: string,
  ): Promise<{ readonly turn: Turn; readonly revision: number } | undefined> {
    const found = await this.#records.get({ kind: 'release-turn', id: site });
    return found && { turn: found.value as Turn, revision: found.revision };
  }

  /** @param revision of the turn it takes the place of, 0: there is none. @returns the new one; `undefined` if another was faster */
  async takeTurn(site: string, turn: Turn, revision: number): Promise<number | undefined> {
    return this.#records.put({ kind: 'release-turn', id: site, value: turn }, revision);
  }

  async giveUpTurn(site: string): Promise<void> {
    await this.#records.delete({ kind: 'release-turn', id: site });
  }
}
