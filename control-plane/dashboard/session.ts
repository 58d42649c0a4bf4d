import { signalOf } from './signal.ts';

const KEY = 'canopy-token';

/**
 * The API token by which the dashboard asks. It is kept for this tab alone, and sent as no cookie, so
 * that no other page can have the browser ask in its name.
 */
export const token = signalOf<string | undefined>(tokenAtStart());

export function signIn(secret: string): void {
  sessionStorage.setItem(KEY, secret);
  token.set(secret);
}

export function signOut(): void {
  sessionStorage.removeItem(KEY);
  token.set(undefined);
}

/** `#token=…` is what `canopy dashboard` prints: a fragment is never sent, and is taken out of the address here. */
function tokenAtStart(): string | undefined {
  return givenToken() ?? sessionStorage.getItem(KEY) ?? undefined;
}

function givenToken(): string | undefined {
  const given = /^#token=([^&]+)/.exec(location.hash)?.[1];
  if (given === undefined) return undefined;
  const secret = decodeURIComponent(given);
  history.replaceState(null, '', `${location.pathname}#/`);
  sessionStorage.setItem(KEY, secret);
  return secret;
}

// The link may be opened where the dashboard is open.
addEventListener('hashchange', () => {
  const given = givenToken();
  if (given !== undefined) token.set(given);
});
