import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import type { ImageOrder } from '#edge/images/order.ts';
import { Studio } from '#edge/images/studio.ts';

const photo = await sharp({ create: { width: 64, height: 64, channels: 3, background: '#a05020' } })
  .jpeg()
  .toBuffer();

const order = (given: Partial<ImageOrder> = {}): Omit<ImageOrder, 'id'> => ({
  source: photo,
  width: 32,
  height: undefined,
  fit: 'cover',
  quality: undefined,
  qualities: { avif: 50, webp: 75, jpeg: 80 },
  formats: ['webp'],
  isAuto: false,
  maxPixels: 1_000_000,
  ...given,
});

/** The processes that this one has started to make images. */
const makers = (): readonly number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const parent = /^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
        return Number(parent) === process.pid && command.includes('images/worker');
      } catch {
        // It has ended.
        return false;
      }
    });

test('what dies while it makes an image is lost alone, and the next is made', async () => {
  const studio = new Studio();
  try {
    expect(await studio.make(order())).toMatchObject({ contentType: 'image/webp' });
    const [maker = 0] = makers();
    expect(maker).toBeGreaterThan(0);
    // It takes no orders, so that these are surely under way.
    process.kill(maker, 'SIGSTOP');
    const [first, second, waiting] = [1, 2, 3].map((width) => studio.make(order({ width })));
    process.kill(maker, 'SIGKILL');
    expect([await first, await second]).toEqual(['lost', 'lost']);
    expect(await waiting).toMatchObject({ contentType: 'image/webp' });
    expect(makers()).not.toContain(maker);
  } finally {
    studio.close();
  }
});

test('orders beyond those that may wait are refused', async () => {
  const studio = new Studio();
  try {
    const outcomes = await Promise.all(Array.from({ length: 40 }, () => studio.make(order())));
    expect(outcomes.filter((outcome) => outcome === 'busy')).toHaveLength(6);
    expect(outcomes.filter((outcome) => typeof outcome === 'object')).toHaveLength(34);
  } finally {
    studio.close();
  }
});

test.each<[string, Buffer]>([
  ['an SVG', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')],
  ['a PDF', Buffer.from('%PDF-1.4\n%%EOF')],
  ['nothing', Buffer.alloc(0)],
  ['half an image', photo.subarray(0, photo.length / 2)],
])('%s is not read', async (_, source) => {
  const studio = new Studio();
  try {
    expect(await studio.make(order({ source }))).toBe('unreadable');
  } finally {
    studio.close();
  }
});

test('it does not keep its process alive', () => {
  const script = `
    import { Studio } from '#edge/images/studio.ts';
    const made = await new Studio().make({
      source: Buffer.from('${photo.toString('base64')}', 'base64'), width: 9, height: undefined,
      fit: 'cover', quality: undefined, qualities: {}, formats: ['png'], isAuto: false, maxPixels: 1e6,
    });
    console.log(made.contentType);`;
  const cwd = new URL('../..', import.meta.url);
  const args = ['--input-type=module-typescript', '--eval', script];
  const options = { cwd, encoding: 'utf8', timeout: 20_000 } as const;
  expect(execFileSync(process.execPath, args, options)).toBe('image/png\n');
});
