/** Warm objects, which every node may hold. */
export const OBJECTS = 40;

const numberOf = (target: string): number => Number(/\d+/.exec(target)?.[0] ?? 0);

/** Of many sizes, each of its own bytes; every tenth is large. */
export function bodyOf(target: string): Buffer {
  const index = numberOf(target);
  const size = index % 10 === 0 ? 400_000 + index : 500 + (index % 100) * 37;
  return Buffer.alloc(size, `object ${target};`);
}

/** Half of the objects have no validator at all. */
export const etagOf = (target: string): string | undefined =>
  numberOf(target) % 2 === 0 ? `"${target}"` : undefined;
