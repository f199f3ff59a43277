/** An `EventTarget` whose events are known by name: `M` maps each to the type of its `detail`. */
export class TypedEventTarget<M extends object> extends EventTarget {
  /** Listens for events of one type. */
  override addEventListener<K extends keyof M & string>(
    type: K,
    listener: ((event: CustomEvent<M[K]>) => void) | { handleEvent(event: CustomEvent<M[K]>): void } | null,
    options?: boolean | AddEventListenerOptions,
  ): void {
    super.addEventListener(type, listener as EventListener, options);
  }

  /** Stops listening. */
  override removeEventListener<K extends keyof M & string>(
    type: K,
    listener: ((event: CustomEvent<M[K]>) => void) | { handleEvent(event: CustomEvent<M[K]>): void } | null,
    options?: boolean | EventListenerOptions,
  ): void {
    super.removeEventListener(type, listener as EventListener, options);
  }

  /** @internal */
  emit<K extends keyof M & string>(type: K, detail: M[K]): void {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** Gives a class `await using`, where the browser knows it: its method `end` runs then. */
export function disposable<N extends "close" | "leave" | "stop">(target: { prototype: Record<N, () => Promise<void>> }, end: N): void {
  // Symbol.asyncDispose is younger than the browsers we run on.
  if (typeof Symbol.asyncDispose !== "symbol") return;
  Object.defineProperty(target.prototype, Symbol.asyncDispose, {
    configurable: true,
    writable: true,
    value(this: Record<N, () => Promise<void>>) {
      return this[end]();
    },
  });
}
