import { RawOrigin } from './raw.ts';
import { type Cast, scenario, type World } from './scenario.ts';

/** A scenario whose site has an origin that answers byte for byte. */
export function withRawOrigin(
  name: string,
  answer: ConstructorParameters<typeof RawOrigin>[0],
  play: (world: World, origin: RawOrigin) => Promise<void>,
  cast: Cast = {},
): void {
  scenario(name, cast, async (world) => {
    const origin = await new RawOrigin(answer).up();
    world.changeSite({ origin: { kind: 'pull', servers: [{ url: origin.url }] } });
    try {
      await play(world, origin);
    } finally {
      await origin.down();
    }
  });
}
