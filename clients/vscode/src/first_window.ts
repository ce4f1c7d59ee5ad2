/**
 * Of all windows on this machine, which is the first to show something: a question comes to each, and one toast for it is
 * enough. It keeps no text and no id, only files that are empty and named by sums, and shows nothing.
 */

import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** So long a window may be without the focus, in milliseconds. */
export const KEPT_MS = 7 * 24 * 3_600_000;
export const FILES_MAX = 200;

export class FirstWindow {
  /** `folder`: the same in all windows. */
  constructor(
    private readonly folder: string,
    private readonly now: () => number = Date.now,
  ) {}

  /** Whether no window was asked for this one before. Where nothing can be written each is the first: better twice than never. */
  take(id: string): boolean {
    try {
      mkdirSync(this.folder, { recursive: true, mode: 0o700 });
      this.tidy();
      // Of two windows at once one makes it.
      writeFileSync(join(this.folder, createHash("sha256").update(id).digest("hex")), "", { flag: "wx", mode: 0o600 });
      return true;
    } catch (cause) {
      return (cause as NodeJS.ErrnoException).code !== "EEXIST";
    }
  }

  /** Make room for one more. */
  private tidy(): void {
    const { folder } = this;
    const at = (file: string): number => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    const latest = readdirSync(folder)
      .map((name) => join(folder, name))
      .map((file) => ({ file, age: this.now() - at(file) }))
      .sort((one, other) => one.age - other.age);
    for (const [place, { file, age }] of latest.entries()) {
      if (place >= FILES_MAX - 1 || age > KEPT_MS) rmSync(file, { force: true });
    }
  }
}
