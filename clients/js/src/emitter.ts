/** Listeners by the name of what they listen to. What a listener throws is told, and keeps nobody else from hearing. */

export class Emitter<Events extends object> {
  private readonly listeners = new Map<keyof Events, Set<(value: never) => unknown>>();

  /** `onError`: a listener of `name` has thrown, or its promise was rejected. */
  constructor(private readonly onError: (name: keyof Events, cause: unknown) => void) {}

  on<Name extends keyof Events>(name: Name, listener: (value: Events[Name]) => unknown): () => void {
    const own = (value: Events[Name]): unknown => listener(value);
    const known = this.listeners.get(name) ?? new Set();
    this.listeners.set(name, known);
    known.add(own);
    return () => {
      known.delete(own);
    };
  }

  has(name: keyof Events): boolean {
    return (this.listeners.get(name)?.size ?? 0) > 0;
  }

  /** Resolves when all listeners are done, those that return promises among them. Never rejects. */
  async emit<Name extends keyof Events>(name: Name, value: Events[Name]): Promise<void> {
    const listeners = [...(this.listeners.get(name) ?? [])] as ((value: Events[Name]) => unknown)[];
    // All hear of it before anybody is waited for.
    const calls = listeners.map((listener) => this.call(name, listener, value));
    await Promise.all(calls);
  }

  private async call<Value>(name: keyof Events, listener: (value: Value) => unknown, value: Value): Promise<void> {
    try {
      await listener(value);
    } catch (cause) {
      this.onError(name, cause);
    }
  }
}
