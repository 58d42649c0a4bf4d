import { RequestFacts } from '#core/rules/facts.ts';

/** A GET of example.org as rules see it. */
export const factsOf = (
  target: string,
  fields: readonly string[] = [],
  method = 'GET',
): RequestFacts =>
  new RequestFacts(
    {
      method,
      scheme: 'https',
      authority: 'example.org',
      host: 'example.org',
      target,
      fields,
      hasContent: false,
      upgrade: undefined,
      expectsContinue: false,
    },
    '203.0.113.9',
    { countryOf: () => 'DE', asnOf: () => undefined },
  );
