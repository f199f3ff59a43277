/** What the page and the roomkey worker say to each other: plain values only. The methods are bridge.py's. */

/** One file of the asset folder, as the build recorded it. */
export interface AssetEntry {
  readonly kind: "script" | "data";
  readonly sha256: string;
  /** The same hash as fetch takes it: "sha256-" and base64. */
  readonly integrity: string;
  readonly bytes: number;
}

/** assets-manifest.json. */
export interface Manifest {
  readonly format: number;
  readonly version: string;
  readonly pyodide: string;
  readonly assets: Readonly<Record<string, AssetEntry>>;
}

/** What the worker's core is told once. */
export interface Settings {
  readonly exportKeys: boolean;
}

/** An error as plain values: RoomkeyError.as_plain() of errors.py, or less of it from JavaScript. */
export interface PlainError {
  readonly code: string;
  readonly text: string;
  readonly details: Readonly<Record<string, string | number | boolean | null>>;
  /** Seconds. */
  readonly retryAfter?: number | null;
}

/** A call's outcome. */
export type Answer = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: PlainError };

/** Something that happened; `handle` is absent for events of the whole worker. */
export interface BridgeEvent {
  readonly target: "roomkey" | "identity" | "conference";
  readonly handle?: number | null | undefined;
  readonly type: string;
  readonly detail: unknown;
}

/** Page to worker. */
export type Request =
  | {
      readonly kind: "start";
      /** Absolute address of the asset folder, with a slash at its end. */
      readonly assets: string;
      readonly manifest: Manifest;
      readonly settings: Settings;
      /** Milliseconds without a byte after which a download has failed. */
      readonly stallTimeout: number;
      /** The Web Lock that the worker holds while it lives. */
      readonly life: string;
      /** The port to the media worker, transferred. */
      readonly media: MessagePort;
    }
  | { readonly kind: "call"; readonly id: number; readonly method: string; readonly args: object }
  | { readonly kind: "cancel"; readonly id: number }
  | { readonly kind: "close" };

/** Worker to page. */
export type Report =
  | { readonly kind: "alive" }
  | { readonly kind: "progress"; readonly asset: string; readonly bytes: number }
  | { readonly kind: "ready" }
  | { readonly kind: "failed"; readonly error: PlainError }
  | { readonly kind: "answer"; readonly id: number; readonly answer: Answer }
  | { readonly kind: "event"; readonly event: BridgeEvent }
  | { readonly kind: "closed" };
