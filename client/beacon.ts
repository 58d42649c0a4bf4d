import { CanopyClient } from './client.ts';

// <script type="module" src="https://ROUTER/.canopy/beacon.js"></script>
// measures, once a page is idle, how far the nearest edges are. `?url=URL` names another site than the page's.

const { searchParams, origin } = new URL(import.meta.url);
const page = (globalThis as { location?: { href: string } }).location?.href ?? origin;
const client = new CanopyClient({ router: origin });

/** Only what would help others is lost. */
const measure = (): void =>
  void client.measure(searchParams.get('url') ?? page).catch(() => undefined);

const whenIdle = (globalThis as { requestIdleCallback?: (work: () => void) => void })
  .requestIdleCallback;
if (whenIdle === undefined) setTimeout(measure, 1_000);
else whenIdle(measure);
