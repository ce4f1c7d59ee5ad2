/**
 * What is kept when the page or the process is gone: in a `Storage`, or in nothing but memory.
 *
 * It never throws: a storage that is full, forbidden or full of nonsense costs durability and nothing else.
 */

/** What `localStorage` can do; anything that does as much will do. */
export interface KeyValueStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

/** Told when the storage fails, once until it works again. `what` is what was tried. */
export type StorageTrouble = (what: "read" | "write", cause: unknown) => void;

/** Values of one client under a name of their own. A value that cannot be read is as if it were not there. */
export class Shelf {
  private isInTrouble = false;

  constructor(
    private readonly storage: KeyValueStorage | undefined,
    private readonly prefix: string,
    private readonly onTrouble: StorageTrouble = () => undefined,
  ) {}

  read(name: string): unknown {
    try {
      const text = this.storage?.getItem(this.prefix + name) ?? null;
      return text === null ? undefined : JSON.parse(text);
    } catch (cause) {
      this.trouble("read", cause);
      return undefined;
    }
  }

  /** False where the value was not kept. */
  write(name: string, value: unknown): boolean {
    if (this.storage === undefined) return false;
    try {
      this.storage.setItem(this.prefix + name, JSON.stringify(value));
      this.isInTrouble = false;
      return true;
    } catch (cause) {
      this.trouble("write", cause);
      return false;
    }
  }

  remove(name: string): void {
    try {
      this.storage?.removeItem(this.prefix + name);
    } catch (cause) {
      this.trouble("write", cause);
    }
  }

  private trouble(what: "read" | "write", cause: unknown): void {
    if (this.isInTrouble) return;
    this.isInTrouble = true;
    this.onTrouble(what, cause);
  }
}

/** `value` as a record, or undefined where it is none: what comes out of a storage may be anything. */
export function asRecord(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : undefined;
}
