import { expect, test } from 'vitest';
import { formatsTaken, imageForm, imageWish, sourceTarget } from '#core/cache/policy/images.ts';
import { IMAGE_FORMATS, imageSettingsSchema } from '#core/contract/images.ts';

const settings = (given = {}) => imageSettingsSchema.parse({ enabled: true, ...given });

test.each<[string, string]>([
  ['/a.jpg', '/a.jpg'],
  ['/a.jpg?w=1', '/a.jpg'],
  ['/a.jpg?w=1&v=2&format=auto&x', '/a.jpg?v=2&x'],
  ['/a.JPEG?preset=thumb', '/a.JPEG'],
  ['/a.jpg?W=1', '/a.jpg?W=1'],
  ['/a.jpg?width=1', '/a.jpg?width=1'],
  ['/a.jpg?', '/a.jpg?'],
  ['/a?w=1', '/a?w=1'],
  ['/a.jpg/b?w=1', '/a.jpg/b?w=1'],
  ['/a.svg?w=1', '/a.svg?w=1'],
  ['/search?of=a.jpg&w=1', '/search?of=a.jpg&w=1'],
])('%s is made of %s', (target, source) => {
  expect(sourceTarget(target)).toBe(source);
});

test.each<[string, object, object | undefined]>([
  ['/a.jpg', {}, undefined],
  ['/a.jpg?v=1', {}, undefined],
  ['/a?w=1', {}, undefined],
  ['/a.jpg?w=100', {}, { width: 100, height: undefined, fit: 'cover', format: undefined }],
  [
    '/a.jpg?w=100&h=50&fit=inside&q=7&format=webp',
    {},
    { width: 100, height: 50, fit: 'inside', quality: 7, format: 'webp' },
  ],
  ['/a.jpg?w=101&dpr=1.5', {}, { width: 152 }],
  ['/a.jpg?preset=p&dpr=2', { presets: { p: { w: 10, fit: 'fill' } } }, { width: 20, fit: 'fill' }],
  ['/a.jpg?preset=p&w=5', { presets: { p: { w: 10 } } }, { width: 5 }],
  ['/a.jpg?preset=p', { presets: { p: { w: 10 } }, presetsOnly: true, sizes: [3] }, { width: 10 }],
  ['/a.jpg?format=auto', { formats: ['webp'] }, { format: 'auto' }],
])('%s of a site with %o', (target, given, expected) => {
  expect([imageWish(target, settings(given))]).toMatchObject([expected]);
});

test.each<[string, object?]>([
  ['w='],
  ['w=-1'],
  ['w=1.5'],
  ['w=1e3'],
  ['w=%31'],
  ['w'],
  ['h=4097'],
  ['w=4000&dpr=2'],
  ['dpr=0.5'],
  ['fit='],
  ['q=0'],
  ['format=svg'],
  ['format=avif', { formats: ['webp'] }],
  ['w=1&w=1'],
  ['preset='],
  ['preset=toString'],
  ['preset=__proto__'],
  ['w=5', { sizes: [10] }],
  ['w=5', { presetsOnly: true }],
  ['preset=p&q=5', { presetsOnly: true, presets: { p: {} } }],
])('%s is refused', (query, given = {}) => {
  expect(() => imageWish(`/a.jpg?${query}`, settings(given))).toThrow(
    expect.objectContaining({ code: 'invalid-image-parameters' }),
  );
});

test.each<[string | undefined, readonly string[]]>([
  [undefined, []],
  ['*/*', []],
  ['image/*', []],
  ['image/webp', ['webp']],
  ['image/webp, image/avif;q=0.1', ['avif', 'webp']],
  ['IMAGE/AVIF; q=1', ['avif']],
  ['image/avif;q=0, image/webp;q=0.000', []],
])('Accept: %s takes %o', (accept, taken) => {
  expect(formatsTaken(accept, IMAGE_FORMATS)).toEqual(taken);
});

test('a format that the site does not make is not taken', () => {
  expect(formatsTaken('image/avif,image/webp', ['webp', 'jpeg'])).toEqual(['webp']);
});

test('whatever makes another image has another form', () => {
  const targets = [
    'w=1',
    'h=1',
    'w=1&h=1',
    'w=1&fit=fill',
    'w=1&q=5',
    'w=1&format=png',
    'w=1&format=auto',
    'w=11',
  ];
  const { quality } = settings();
  const forms = targets.map((query) => {
    const wish = imageWish(`/a.jpg?${query}`, settings());
    return wish && imageForm(wish, [], quality);
  });
  expect(new Set(forms).size).toBe(targets.length);
  const auto = imageWish('/a.jpg?format=auto', settings());
  expect(auto && imageForm(auto, ['avif'], quality)).not.toBe(
    auto && imageForm(auto, ['webp'], quality),
  );
});
