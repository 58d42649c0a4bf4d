import { hash32 } from '#core/hash.ts';
import type { Point } from '../engine/client.ts';

const KM_PER_DEGREE = 111.195;

/**
 * A point within `radiusKm` of `point`, by `key`: where all that is known is a radius, clients are
 * spread over it, and so over all edges that may be the nearest, as much as each may be.
 */
export function within(point: Point, radiusKm: number, key: string): Point {
  // The root makes equal areas equally likely.
  const distance = (radiusKm / KM_PER_DEGREE) * Math.sqrt(hash32('distance', key) / 2 ** 32);
  const bearing = (2 * Math.PI * hash32('bearing', key)) / 2 ** 32;
  const [d, latitude] = [radians(distance), radians(point.latitude)];
  const sine =
    Math.sin(latitude) * Math.cos(d) + Math.cos(latitude) * Math.sin(d) * Math.cos(bearing);
  const east = Math.atan2(
    Math.sin(bearing) * Math.sin(d) * Math.cos(latitude),
    Math.cos(d) - Math.sin(latitude) * sine,
  );
  return {
    latitude: degrees(Math.asin(Math.min(1, Math.max(-1, sine)))),
    longitude: ((point.longitude + degrees(east) + 540) % 360) - 180,
  };
}

const radians = (angle: number): number => (angle * Math.PI) / 180;
const degrees = (angle: number): number => (angle * 180) / Math.PI;
