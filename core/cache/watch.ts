import { MAX_HASHES } from '#core/contract/question.ts';
import { Distinct } from '#core/distinct.ts';
import { hash32 } from '#core/hash.ts';
import type { StoredObject } from './object.ts';
import type { Targets } from './targets.ts';

/** Which of the objects in question are asked for while somebody watches. */
export class Watch {
  readonly #targets: Targets;
  readonly #asked = new Distinct(MAX_HASHES);

  constructor(targets: Targets) {
    this.#targets = targets;
  }

  note({ site, key, selector, facts }: Pick<StoredObject, 'site' | 'key' | 'selector' | 'facts'>) {
    if (!this.#targets.has({ site, key, tags: facts.tags })) return;
    this.#asked.note(hash32(key, selector));
  }

  get asked(): number[] {
    return [...this.#asked.hashes];
  }
}
