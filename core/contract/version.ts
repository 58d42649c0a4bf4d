import { CanopyError } from '#core/errors.ts';

/**
 * What a control plane and its nodes say to one another, as a number that goes up whenever the side that
 * was not changed would misunderstand it: a field in a strict schema, another kind of event.
 */
export const CONTRACT = 2;

/** The oldest that a node may speak. Nodes are upgraded after their control planes, so they may be one behind. */
export const OLDEST_CONTRACT = CONTRACT - 1;

/** The field in which either side says which contract it speaks. */
export const CONTRACT_FIELD = 'canopy-contract';

/** Spoken by those who do not say. */
const FIRST_CONTRACT = 1;

/** What the other side speaks, by its field; `NaN` where that is no number. */
export function contractOf(field: string | readonly string[] | undefined): number {
  return field === undefined ? FIRST_CONTRACT : Number(field);
}

/** @throws CanopyError `contract-unsupported` if a control plane of this version does not understand such a node */
export function requireNodeContract(field: string | readonly string[] | undefined): void {
  const spoken = contractOf(field);
  if (spoken >= OLDEST_CONTRACT && spoken <= CONTRACT) return;
  const advice =
    spoken > CONTRACT ? 'upgrade the control planes before their nodes' : 'upgrade the node';
  throw new CanopyError(
    'contract-unsupported',
    `The node speaks contract ${spoken}, this control plane ${OLDEST_CONTRACT} to ${CONTRACT}: ${advice}`,
  );
}

/** @throws CanopyError `contract-unsupported` if a node of this version would not be understood by the control plane at `origin` */
export function requireControlPlaneContract(
  origin: string,
  field: string | readonly string[] | undefined,
): void {
  const spoken = contractOf(field);
  if (spoken >= CONTRACT) return;
  throw new CanopyError(
    'contract-unsupported',
    `The control plane at ${origin} speaks contract ${spoken}, this node ${CONTRACT}: upgrade the control planes before their nodes`,
  );
}
