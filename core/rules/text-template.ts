import { type Encode, type Template, templateOf } from './template.ts';

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

const markup: Encode = (value) => value.replaceAll(/[&<>"']/g, (found) => ENTITIES[found] ?? '');
const json: Encode = (value) => JSON.stringify(value).slice(1, -1);
const plain: Encode = (value) => value;

/** A template of content: what a client says is text in it, whatever the type, and nothing more. */
export function textTemplate(text: string, contentType: string): Template {
  const [type = ''] = contentType.split(';');
  if (/html|xml/i.test(type)) return templateOf(text, markup);
  return templateOf(text, /json/i.test(type) ? json : plain);
}
