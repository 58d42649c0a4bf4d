import { expect, test } from 'vitest';
import { type DeviceClass, deviceClass } from '#core/http/device-class.ts';

const CHROME = 'AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0';
const IPHONE =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148';

test.each<[string, DeviceClass, string?]>([
  [IPHONE, 'phone'],
  [`Mozilla/5.0 (Linux; Android 10; K) ${CHROME} Mobile Safari/537.36`, 'phone'],
  [`Mozilla/5.0 (Linux; Android 9; CUBOT NOTE) ${CHROME} Mobile Safari/537.36`, 'phone'],
  ['Opera/9.80 (J2ME/MIDP; Opera Mini/9.80) Presto/2.5.25', 'phone'],
  [`Mozilla/5.0 (X11; Linux x86_64) ${CHROME} Safari/537.36`, 'phone', '?1'],
  ['Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148', 'tablet'],
  [`Mozilla/5.0 (Linux; Android 13; SM-X710) ${CHROME} Safari/537.36`, 'tablet', '?0'],
  ['Mozilla/5.0 (Android 13; Tablet; rv:125.0) Gecko/125.0 Firefox/125.0', 'tablet'],
  [`Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${CHROME} Safari/537.36`, 'desktop', '?0'],
  ['Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1; Tablet PC 2.0)', 'desktop'],
  ['', 'desktop'],
  ['Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)', 'bot'],
  [`${IPHONE} (compatible; bingbot/2.0)`, 'bot'],
  ['Mozilla/5.0 (compatible; Baiduspider/2.0)', 'bot'],
  ['curl/8.5.0', 'bot'],
  [`${'x'.repeat(600)} Googlebot`, 'desktop'],
])('%s', (agent, expected, mobile) => {
  const hint = mobile === undefined ? [] : ['Sec-CH-UA-Mobile', mobile];
  expect(deviceClass(['User-Agent', agent, ...hint])).toBe(expected);
});

test('without any field', () => {
  expect(deviceClass([])).toBe('desktop');
});
