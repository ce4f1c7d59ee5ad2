/**
 * What one window keeps, as files in a folder: what a page has `localStorage` for. It knows nothing of what it keeps.
 *
 * Each value is a file of its own, written beside its place and moved there, so that a file is whole or not there.
 * They are written a moment after the change: most events have got through by then, and cost no write. While nothing
 * gets through they are written at once: then a crash costs nothing, and what is shown as waiting waits on the disk.
 */

import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { KeyValueStorage } from "@proactive/client";

/** Twice what the client's queue and the conversation may come to. */
export const CHARACTERS_MAX = 4_000_000;
export const VALUES_MAX = 2000;
/** What a crash may cost, in milliseconds. */
const WRITE_AFTER_MS = 100;

export class FileStorage implements KeyValueStorage {
  private readonly values = new Map<string, string>();
  private readonly changed = new Set<string>();
  private characters = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private isInTrouble = false;
  private isHurried = false;
  private isClosed = false;

  /** `folder` undefined keeps in memory alone. `onTrouble`: told when files cannot be written, once until they can again. */
  constructor(
    private readonly folder: string | undefined,
    private readonly onTrouble: (cause: unknown) => void = () => undefined,
  ) {
    if (folder !== undefined) for (const name of namesIn(folder)) this.load(join(folder, name));
  }

  /** Of all that is kept, in no order. */
  keys(): readonly string[] {
    return [...this.values.keys()];
  }

  getItem(key: string): string | null {
    return this.values.get(key) ?? null;
  }

  /** Throws where there is no room for it, as a page's storage does; then what was there stays. */
  setItem(key: string, value: string): void {
    const known = this.values.get(key);
    if (known === value) return;
    const characters = this.characters + value.length - (known?.length ?? 0);
    if (characters > CHARACTERS_MAX || (known === undefined && this.values.size >= VALUES_MAX)) {
      throw new Error(
        `expected at most ${VALUES_MAX} values of ${CHARACTERS_MAX} characters together, got ${characters} characters in ${this.values.size}`,
      );
    }
    this.characters = characters;
    this.values.set(key, value);
    this.change(key);
  }

  removeItem(key: string): void {
    const known = this.values.get(key);
    if (known === undefined) return;
    this.characters -= known.length;
    this.values.delete(key);
    this.change(key);
  }

  /** Forget all of it, also on the disk. */
  clear(): void {
    for (const key of [...this.values.keys()]) this.removeItem(key);
    this.flush();
  }

  /** Whether each change is written before anybody hears of it, or with others in a moment. */
  hurry(isHurried: boolean): void {
    this.isHurried = isHurried;
    if (isHurried && !this.isClosed) this.flush();
  }

  /** Write what is not written yet. */
  flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    for (const key of [...this.changed]) {
      try {
        if (this.folder !== undefined) this.write(this.folder, key);
        this.changed.delete(key);
        this.isInTrouble = false;
      } catch (cause) {
        // What could not be written is tried again with the next change.
        if (!this.isInTrouble) this.onTrouble(cause);
        this.isInTrouble = true;
        return;
      }
    }
  }

  /** Write all, and from here on nothing: the folder may be another's soon. */
  close(): void {
    if (this.isClosed) return;
    this.flush();
    this.isClosed = true;
  }

  /** Write nothing any more, also not what is not written yet: the folder is another's. */
  abandon(): void {
    clearTimeout(this.timer);
    this.isClosed = true;
  }

  private change(key: string): void {
    // Added anew it is written last, in the order of the changes.
    this.changed.delete(key);
    this.changed.add(key);
    if (this.isClosed) return;
    if (this.isHurried) this.flush();
    else this.timer ??= setTimeout(() => this.flush(), WRITE_AFTER_MS);
  }

  private write(folder: string, key: string): void {
    const file = join(folder, `${createHash("sha256").update(key).digest("hex").slice(0, 32)}.json`);
    const value = this.values.get(key);
    if (value === undefined) {
      rmSync(file, { force: true });
      return;
    }
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    // Others than the owner have no business with what somebody said.
    writeFileSync(`${file}.part`, JSON.stringify({ key, value }), { mode: 0o600 });
    renameSync(`${file}.part`, file);
  }

  private load(file: string): void {
    try {
      if (file.endsWith(".part")) rmSync(file, { force: true });
      if (!file.endsWith(".json")) return;
      const { key, value } = JSON.parse(readFileSync(file, "utf8")) as Readonly<Record<string, unknown>>;
      if (typeof key !== "string" || typeof value !== "string") return;
      if (this.values.size >= VALUES_MAX || this.characters + value.length > CHARACTERS_MAX) return;
      this.values.set(key, value);
      this.characters += value.length;
    } catch {
      // A file that cannot be read is as if it were not there.
    }
  }
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}
