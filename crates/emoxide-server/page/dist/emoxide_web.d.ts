/* tslint:disable */
/* eslint-disable */

/**
 * A detector and a model.
 */
export class Analyser {
    free(): void;
    [Symbol.dispose](): void;
    /**
     * Opens the detector's weights and a checkpoint, both safetensors.
     *
     * # Errors
     * A JavaScript error with the same text as in every other front end.
     */
    constructor(detector: Uint8Array | number[], model: Uint8Array | number[]);
    /**
     * The faces in a picture's file, as the JSON of a [`Prediction`]; `input` is the file's name.
     *
     * # Errors
     * Where the file is no picture, or one beyond the limits.
     */
    predict(input: string, file: Uint8Array | number[]): string;
}

export type InitInput = RequestInfo | URL | Response | BufferSource | WebAssembly.Module;

export interface InitOutput {
    readonly memory: WebAssembly.Memory;
    readonly __wbg_analyser_free: (a: number, b: number) => void;
    readonly analyser_new: (a: number, b: number, c: number, d: number) => [number, number, number];
    readonly analyser_predict: (a: number, b: number, c: number, d: number, e: number) => [number, number, number, number];
    readonly __wbindgen_exn_store: (a: number) => void;
    readonly __externref_table_alloc: () => number;
    readonly __wbindgen_externrefs: WebAssembly.Table;
    readonly __wbindgen_malloc: (a: number, b: number) => number;
    readonly __wbindgen_free: (a: number, b: number, c: number) => void;
    readonly __externref_table_dealloc: (a: number) => void;
    readonly __wbindgen_realloc: (a: number, b: number, c: number, d: number) => number;
    readonly __wbindgen_start: () => void;
}

export type SyncInitInput = BufferSource | WebAssembly.Module;

/**
 * Instantiates the given `module`, which can either be bytes or
 * a precompiled `WebAssembly.Module`.
 *
 * @param {{ module: SyncInitInput }} module - Passing `SyncInitInput` directly is deprecated.
 *
 * @returns {InitOutput}
 */
export function initSync(module: { module: SyncInitInput } | SyncInitInput): InitOutput;

/**
 * If `module_or_path` is {RequestInfo} or {URL}, makes a request and
 * for everything else, calls `WebAssembly.instantiate` directly.
 *
 * @param {{ module_or_path: InitInput | Promise<InitInput> }} module_or_path - Passing `InitInput` directly is deprecated.
 *
 * @returns {Promise<InitOutput>}
 */
export default function __wbg_init (module_or_path?: { module_or_path: InitInput | Promise<InitInput> } | InitInput | Promise<InitInput>): Promise<InitOutput>;
