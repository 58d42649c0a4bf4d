import { type Fields, fieldValue } from './fields.ts';

/** What a page is laid out for. `bot`: whoever reads without a screen; `desktop`: everybody else, too. */
export type DeviceClass = 'phone' | 'tablet' | 'desktop' | 'bot';

// Names of crawlers end in "bot" by custom; the Cubot is a phone.
const BOT =
  /(?<!cu)bot\b|crawl|spider|slurp|facebookexternalhit|mediapartners-google|^curl\/|^wget\//i;
// Windows calls machines with a pen "Tablet PC". Android without "Mobile" is a tablet, by Google's word.
const TABLET = /ipad|tablet(?! pc)|playbook|kindle|silk\/(?!.*mobile)|android(?!.*mobi)/i;
const PHONE = /mobi|iphone|ipod|windows phone|opera mini|blackberry/i;

/** Of a `User-Agent`, so that none is costly to read. */
const READ_CHARACTERS = 512;

/**
 * The class of device that asks, from `User-Agent` and the client hint `Sec-CH-UA-Mobile`. A coarse
 * rule that errs towards `desktop`. An iPad that asks for desktop sites says that it is a Mac, and
 * is taken for one.
 */
export function deviceClass(fields: Fields): DeviceClass {
  const agent = (fieldValue(fields, 'user-agent') ?? '').slice(0, READ_CHARACTERS);
  if (BOT.test(agent)) return 'bot';
  if (TABLET.test(agent)) return 'tablet';
  if (fieldValue(fields, 'sec-ch-ua-mobile')?.trim() === '?1') return 'phone';
  return PHONE.test(agent) ? 'phone' : 'desktop';
}
