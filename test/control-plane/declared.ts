import { Ajv2020 } from 'ajv/dist/2020.js';

interface Operation {
  readonly operationId: string;
  readonly security: readonly object[];
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, object>> }>
  >;
}

export type OpenApi = {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
};

/** An answer as it came. */
export interface Given {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  /** Without parameters. */
  readonly mediaType: string | undefined;
  readonly text: string;
}

/** What refuses a request before it comes to a route. */
const WITHOUT_ROUTE = new Set([400, 404, 431]);

/** Holds answers to what an OpenAPI document says of them. */
export class DeclaredAnswers {
  readonly #document: OpenApi;
  readonly #ajv = new Ajv2020({ strict: false, validateFormats: false });
  readonly #patterns: readonly (readonly [path: RegExp, template: string])[];

  constructor(document: OpenApi) {
    this.#document = document;
    this.#ajv.addSchema(document, 'openapi');
    this.#patterns = Object.keys(document.paths).map((template) => [matching(template), template]);
  }

  /** @throws Error if the document knows no such answer */
  check({ method, path, status, mediaType, text }: Given): void {
    const [pathname = ''] = path.split('?');
    // What GET answers, without the content.
    const verb = method === 'HEAD' ? 'get' : method.toLowerCase();
    const template = this.#patterns.find(
      ([pattern, of]) => pattern.test(pathname) && this.#document.paths[of]?.[verb] !== undefined,
    )?.[1];
    const complain = (problem: string): never => {
      throw new Error(`${method} ${template ?? path}, ${status}: ${problem}: ${text}`);
    };
    if (template === undefined) {
      if (!WITHOUT_ROUTE.has(status)) complain('there is no such operation');
      return;
    }
    const response = this.#document.paths[template]?.[verb]?.responses[status];
    if (response === undefined) return complain('the operation has no such status');
    const types = Object.keys(response.content ?? {});
    if (types.includes('*/*')) return;
    if (types.join() !== (mediaType ?? '')) return complain(`expected ${types.join()}`);
    if (mediaType?.endsWith('json') !== true || method === 'HEAD') return;
    const steps = ['paths', template, verb, 'responses', `${status}`, 'content', mediaType];
    const pointer = [...steps, 'schema'].map(escaped).join('/');
    const fits = this.#ajv.compile({ $ref: `openapi#/${pointer}` });
    if (!fits(JSON.parse(text))) complain(this.#ajv.errorsText(fits.errors));
  }
}

/** A step of a JSON pointer in a URI (RFC 6901 §6). */
const escaped = (step: string): string =>
  encodeURIComponent(step.replaceAll('~', '~0').replaceAll('/', '~1'));

/** `{path}` takes what is left, other parameters a segment. */
const matching = (template: string): RegExp =>
  new RegExp(
    `^${template
      .replaceAll('.', '\\.')
      .replace('{path}', '.*')
      .replaceAll(/\{\w+\}/g, '[^/]+')}$`,
  );
