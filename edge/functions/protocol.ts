import type { FunctionSettings } from '#core/contract/functions.ts';
import type { FailureReason } from '#core/functions/failure.ts';
import type { Hook, Returned } from '#core/functions/sandbox.ts';

/** To the thread that runs the functions of one serving thread. */
export type ToFunctions =
  | { readonly type: 'define'; readonly id: number; readonly settings: FunctionSettings }
  | { readonly type: 'forget'; readonly id: number }
  | {
      readonly type: 'call';
      readonly call: number;
      readonly id: number;
      readonly hook: Hook;
      readonly inputs: readonly unknown[];
    };

/** Its answer to a call. */
export interface FromFunctions {
  readonly call: number;
  /** What the function exports, once it has been loaded. */
  readonly hooks?: readonly Hook[];
  readonly returned?: Returned;
  readonly failure?: { readonly reason: FailureReason; readonly message: string };
}
