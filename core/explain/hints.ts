import type { Hint, NearKeys, StoredVariant } from '#core/contract/explain.ts';
import type { Decision } from '#core/cache/policy/decide.ts';
import type { Storability } from '#core/cache/policy/storability.ts';

/** Parameters by which campaigns are told apart, and pages hardly ever. */
const TRACKING =
  /^(?:utm_.*|gclid|gbraid|wbraid|dclid|fbclid|msclkid|ttclid|twclid|igshid|mc_cid|mc_eid|_ga|_gl|yclid)$/;

const hint = (text: string, setting: string | null): Hint => ({ text, setting });

/** What an operator may want to change, by what kept the object from being served as it is. */
export function hintsOf(
  { reason, action }: Decision,
  variants: readonly StoredVariant[],
  uncacheable: Storability | undefined,
): Hint[] {
  if (reason === 'vary-miss') return varyHints(variants);
  if (reason === 'hit-for-miss') return uncacheableHints(uncacheable);
  if (reason === 'request') {
    return [hint('Have the site not honour what clients say', 'cache.honourClientCacheControl')];
  }
  if (reason === 'stale' && action === 'revalidate') {
    return [
      hint(
        'Let what is stale be served while it is renewed behind',
        'cache.staleWhileRevalidateSeconds',
      ),
    ];
  }
  return [];
}

/** What would have made the nearest stored object the one that was found. */
export function nearHints({ keys }: NearKeys): Hint[] {
  const [nearest] = keys;
  if (nearest === undefined) return [];
  const { differences } = nearest;
  const names = differences.flatMap(({ part, name }) =>
    part === 'query' && name !== null ? [name] : [],
  );
  const hints: Hint[] = [];
  if (names.length > 0 && names.length === differences.length) {
    const list = names.map((name) => `"${name}"`).join(', ');
    const isTracking = names.every((name) => TRACKING.test(name));
    const doubt = isTracking ? '' : ', if the page does not depend on it';
    hints.push(
      hint(
        `Leave ${list} out of the key by key.query: {"exclude": [${list}]}${doubt}`,
        'key.query',
      ),
    );
  }
  if (differences.some(({ part, name }) => part === 'query' && name === null)) {
    hints.push(hint('Order parameters by name', 'key.sortQuery'));
  }
  if (differences.some(({ part }) => part === 'scheme')) {
    hints.push(hint('Send clients of plain HTTP to https', 'tls.redirect'));
  }
  if (differences.some(({ part }) => part === 'host' || part === 'path')) {
    hints.push(hint('Redirect to the one spelling that is to count', 'rules[].redirect'));
  }
  return hints;
}

/** By the field that keeps variants apart: what the key can have in its place. */
const CLASSED: Readonly<Record<string, Hint>> = {
  'accept-language': hint(
    'Have languages that the site has count in place of every spelling of Accept-Language',
    'key.language',
  ),
  'user-agent': hint(
    'Have classes of devices count in place of every User-Agent',
    'key.deviceClass',
  ),
  cookie: hint(
    'Have the origin vary by the cookies that matter, named in the key, and not by Cookie',
    'key.cookies',
  ),
};

function varyHints(variants: readonly StoredVariant[]): Hint[] {
  const names = new Set(variants.flatMap(({ differences }) => differences.map(({ name }) => name)));
  return [...names].flatMap((name) => CLASSED[name ?? ''] ?? []);
}

const STORE_IT: Partial<Record<Storability, Hint>> = {
  'set-cookie': hint(
    'Have the origin set no cookie here, or let it be shared where the origin says for how long',
    'cache.storeSetCookie',
  ),
  'no-store': hint('The origin forbids it: have it say max-age or s-maxage here', null),
  private: hint('The origin forbids it: have it say public or s-maxage here', null),
  'vary-any': hint('Have the origin name the fields that it varies by, in place of *', null),
  'no-reuse': hint(
    'Have the origin say max-age, or the site say how long what says nothing is fresh',
    'cache.defaultFreshSeconds',
  ),
  'too-large': hint('Let larger objects be stored', 'cache.maxObjectBytes'),
  authorization: hint('Have the origin say public or s-maxage, if the answer is everybody’s', null),
};

const uncacheableHints = (why: Storability | undefined): Hint[] => {
  const found = why && STORE_IT[why];
  return found === undefined ? [] : [found];
};
