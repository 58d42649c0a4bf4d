import { readFile } from 'node:fs/promises';
import {
  newQuickJSWASMModuleFromVariant,
  newVariant,
  type QuickJSSyncVariant,
  type QuickJSWASMModule,
} from 'quickjs-emscripten-core';

const BUILD = '@jitl/quickjs-wasmfile-release-sync';
const PAGE_BYTES = 64 * 1024;
/** What the interpreter is linked to begin with; touched, and so taken, only as it is needed. */
const INITIAL_PAGES = 256;

interface WebAssemblyApi {
  compile(bytes: Uint8Array): Promise<object>;
  readonly Memory: new (pages: { initial: number; maximum: number }) => object;
}
/** TypeScript knows it as a part of browsers only. */
const { WebAssembly } = globalThis as unknown as { WebAssembly: WebAssemblyApi };

let loading: Promise<{ variant: QuickJSSyncVariant; code: object }> | undefined;

async function load(): Promise<{ variant: QuickJSSyncVariant; code: object }> {
  // Its types are those of its other form, for CommonJS.
  const { default: variant } = (await import(BUILD)) as { default: QuickJSSyncVariant };
  const bytes = await readFile(new URL(import.meta.resolve(`${BUILD}/wasm`)));
  return { variant, code: await WebAssembly.compile(bytes) };
}

/**
 * An interpreter in a memory of its own. QuickJS cannot tell how large what it allocates is when it
 * is WebAssembly, so that its own limit holds nothing; a memory that cannot grow does.
 */
export async function interpreter(maxMemoryBytes: number): Promise<QuickJSWASMModule> {
  loading ??= load();
  const { variant, code } = await loading;
  const maximum = Math.max(INITIAL_PAGES, Math.floor(maxMemoryBytes / PAGE_BYTES));
  const wasmMemory = new WebAssembly.Memory({ initial: INITIAL_PAGES, maximum });
  return newQuickJSWASMModuleFromVariant(
    newVariant(variant, { wasmModule: code as never, wasmMemory: wasmMemory as never }),
  );
}
