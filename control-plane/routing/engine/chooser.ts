import type { SiteRouting } from '#core/contract/routing.ts';
import type { Candidate } from './candidate.ts';
import { chosenOf } from './choice.ts';
import type { Client, Point } from './client.ts';
import type { Field } from './decide.ts';
import { unmeasured, type MeasuredTo } from './latencies.ts';
import { unspilled } from './load.ts';
import { byNearness, EARTH_RADIUS_KM, MS_PER_KM } from './nearness.ts';

/** What rounding may do to the cosine of an angle: so much is looked at beyond the limit. */
const SLACK = 1e-9;

/**
 * What `decide` chooses from one field, for client after client, without accounting for the rest: of a
 * thousand edges only those that are about as near as the nearest are looked at more closely.
 */
export class Chooser {
  readonly #field: Field;
  readonly #site: { readonly name: string; readonly routing: SiteRouting };
  /** Where the edges are, as unit vectors one after the other: the nearer, the larger the dot product. */
  readonly #vectors: Float64Array;
  readonly #cosines: Float64Array;

  constructor(field: Field, site: { readonly name: string; readonly routing: SiteRouting }) {
    this.#field = field;
    this.#site = site;
    this.#vectors = Float64Array.from(field.left.flatMap(({ point }) => vectorOf(point)));
    this.#cosines = new Float64Array(field.left.length);
  }

  /** @returns the best first, as `Decision.chosen` */
  choose(client: Client, measuredTo: MeasuredTo): readonly Candidate[] {
    const { left } = this.#field;
    const spilled = unspilled(left, client);
    const isLeft = (candidate: Candidate): boolean =>
      candidate.shed === 0 || spilled(candidate) === undefined;
    const { point } = client;
    // What is measured of one edge moves all that are not measured, too.
    const candidates =
      point === undefined || measuredTo !== unmeasured ? left : this.#about(point, isLeft);
    const near = byNearness(candidates, client, measuredTo).filter(isLeft);
    return chosenOf(near, this.#site, client.key).chosen;
  }

  /** All that are not farther than the nearest by more than `nearMs`, and maybe a few that are. */
  #about(point: Point, isLeft: (candidate: Candidate) => boolean): readonly Candidate[] {
    const { left } = this.#field;
    const [x = 0, y = 0, z = 0] = vectorOf(point);
    const [vectors, cosines] = [this.#vectors, this.#cosines];
    let most = -1;
    for (const [i, candidate] of left.entries()) {
      const at = 3 * i;
      const cosine =
        x * (vectors[at] ?? 0) + y * (vectors[at + 1] ?? 0) + z * (vectors[at + 2] ?? 0);
      cosines[i] = cosine;
      if (cosine > most && isLeft(candidate)) most = cosine;
    }
    const beyond = this.#site.routing.nearMs / MS_PER_KM / EARTH_RADIUS_KM;
    const farthest = Math.acos(Math.min(1, most)) + beyond;
    const least = farthest >= Math.PI ? -Infinity : Math.cos(farthest) - SLACK;
    return left.filter((_, i) => (cosines[i] ?? 0) >= least);
  }
}

function vectorOf({ latitude, longitude }: Point): readonly number[] {
  const [phi, lambda] = [radians(latitude), radians(longitude)];
  return [Math.cos(phi) * Math.cos(lambda), Math.cos(phi) * Math.sin(lambda), Math.sin(phi)];
}

const radians = (degrees: number): number => (degrees * Math.PI) / 180;
