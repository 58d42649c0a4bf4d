const NAME = Buffer.from('\u0004film\u0003cdn\u0007example\0');
const COOKIE = [0, 10, 0, 8, ...Buffer.from('a client')];

/** A's for film.cdn.example with a client subnet. @param network the bytes of a /24 */
export function queryFor(network: readonly number[], hasCookie = false): Buffer {
  const options = [0, 8, 0, 7, 0, 1, 24, 0, ...network, ...(hasCookie ? COOKIE : [])];
  const opt = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, options.length, ...options];
  return Buffer.from([0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, ...NAME, 0, 1, 0, 1, ...opt]);
}
