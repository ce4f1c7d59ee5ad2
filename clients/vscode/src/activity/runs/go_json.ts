/** Reads `go test -json`, which is `go tool test2json`. Its plain output is another parser's. */

import { addPackage, GO_OUTCOMES, type Waiting } from "./go_test.js";
import { Tally, type RunParser, type TestRun } from "./tally.js";

/** Packages that run at once, and tests of one of them. */
const PACKAGES_MAX = 500;
const WAITING_MAX = 2000;

export class GoJsonParser implements RunParser {
  private readonly tally = new Tally();
  private readonly packages = new Map<string, Waiting[]>();
  private ended = 0;

  readonly isOver = false;

  line(text: string): void {
    if (!text.startsWith("{") || !text.includes('"Action":')) return;
    const said = parse(text);
    const outcome = GO_OUTCOMES[String(said?.["Action"]).toUpperCase()];
    const name = said?.["Package"];
    if (said === undefined || outcome === undefined || typeof name !== "string") return;
    const test = said["Test"];
    const waiting = this.packages.get(name) ?? [];
    if (typeof test === "string") {
      if (waiting.length < WAITING_MAX) {
        waiting.push({ test, outcome, durationMs: Math.round(Number(said["Elapsed"] ?? 0) * 1000) });
      }
      if (this.packages.has(name) || this.packages.size < PACKAGES_MAX) this.packages.set(name, waiting);
      return;
    }
    this.ended += 1;
    addPackage(this.tally, name, waiting, outcome);
    this.packages.delete(name);
  }

  end(): TestRun | undefined {
    return this.ended === 0 ? undefined : this.tally.run("go", undefined);
  }
}

function parse(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    return JSON.parse(text) as Readonly<Record<string, unknown>>;
  } catch {
    return undefined; // a line that was cut off
  }
}
