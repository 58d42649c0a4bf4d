import { geoNaturalEarth1, geoPath } from 'd3-geo';
import { feature } from 'topojson-client';
import type { GeometryCollection, Topology } from 'topojson-specification';
import world from 'world-atlas/countries-110m.json';
import type { Tone } from './badge.tsx';

const [WIDTH, HEIGHT] = [960, 460] as const;
const atlas = world as unknown as Topology<{ countries: GeometryCollection }>;
const all = feature(atlas, atlas.objects.countries);
/** Antarctica would take a fifth of the map. */
const countries = { ...all, features: all.features.filter(({ id }) => id !== '010') };
const projection = geoNaturalEarth1().fitSize([WIDTH, HEIGHT], countries);
const path = geoPath(projection);
const LAND = countries.features.map((country) => path(country) ?? '');

export interface MapPlace {
  readonly name: string;
  readonly latitude: number;
  readonly longitude: number;
  readonly tone: Tone;
  /** From 0 to 1: how large it is drawn. */
  readonly weight: number;
  /** For the pointer and for who cannot see the map. */
  readonly about: string;
}

export interface MapLine {
  readonly from: Pick<MapPlace, 'latitude' | 'longitude'>;
  readonly to: Pick<MapPlace, 'latitude' | 'longitude'>;
}

/** Places of the network in the world. */
export function WorldMap({
  label,
  places,
  lines = [],
}: {
  label: string;
  places: readonly MapPlace[];
  lines?: readonly MapLine[];
}) {
  const at = ({ latitude, longitude }: Pick<MapPlace, 'latitude' | 'longitude'>) =>
    projection([longitude, latitude]) ?? [0, 0];
  const drawn = named(places.map((place) => ({ place, at: at(place) })));
  const about = places.map((place) => `${place.name}: ${place.about}`).join('; ');
  return (
    <svg
      class="map"
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      role="img"
      aria-label={`${label}. ${about}`}
    >
      <g class="land">
        {LAND.map((d) => (
          <path d={d} key={d.slice(0, 40)} />
        ))}
      </g>
      {lines.map((line) => {
        const coordinates = [line.from, line.to].map(({ latitude, longitude }) => [
          longitude,
          latitude,
        ]);
        const d = path({ type: 'LineString', coordinates }) ?? '';
        return <path class="way" d={d} key={d} />;
      })}
      {drawn.map(({ place, x, y, isNamed }) => {
        return (
          <g class={`place ${place.tone}`} key={place.name}>
            <title>{`${place.name}: ${place.about}`}</title>
            <circle cx={x} cy={y} r={radiusOf(place)} />
            {isNamed && (
              <text x={x} y={y - radiusOf(place) - 4}>
                {place.name}
              </text>
            )}
          </g>
        );
      })}
    </svg>
  );
}

const radiusOf = ({ weight }: MapPlace): number => 5 + 9 * Math.sqrt(weight);

/** Names stand where they cover no other, those of the busiest first. */
function named(
  places: readonly { readonly place: MapPlace; readonly at: readonly [number, number] }[],
) {
  const taken: [number, number][] = [];
  return places
    .toSorted((a, b) => b.place.weight - a.place.weight)
    .map(({ place, at: [x, y] }) => {
      const top = y - radiusOf(place);
      const isNamed = taken.every(
        ([left, above]) => Math.abs(left - x) > 74 || Math.abs(above - top) > 17,
      );
      if (isNamed) taken.push([x, top]);
      return { place, x, y, isNamed };
    });
}
