/** A folder of its own for a test, gone with it. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";

export function folderFor(test: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "proactive-"));
  test.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
