import type { Site } from '#core/contract/site.ts';
import { messageOf } from '#core/errors.ts';
import { Sandbox } from '#core/functions/sandbox.ts';
import { type Finding, finding } from './findings.ts';

/**
 * Functions that no edge could load, the first of each site.
 * @param changed the names of the sites that are looked at
 */
export async function functionFindings(
  sites: readonly Site[],
  changed: ReadonlySet<string>,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const site of sites) {
    if (!changed.has(site.name)) continue;
    const problem = await firstProblem(site);
    if (problem !== undefined) findings.push(finding('broken-function', site, problem));
  }
  return findings;
}

async function firstProblem({ functions }: Site): Promise<string | undefined> {
  for (const [name, settings] of Object.entries(functions)) {
    try {
      (await Sandbox.open(settings)).close();
    } catch (error) {
      return `${name}: ${messageOf(error)}`;
    }
  }
  return undefined;
}
