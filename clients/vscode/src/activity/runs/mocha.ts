/** Reads mocha's output: the reporter `spec`, and of others (dot, min …) the failures at the end. Its TAP is not its. */

import { milliseconds, Outline, SEPARATOR, Tally, type RunParser, type TestRun } from "./tally.js";

const PASS = /^( +)[✓✔√] (.+?)(?: \((\d+)ms\))?$/u;
const PENDING = /^( +)- (.+)$/;
const FAIL = /^( +)\d+\) (.+)$/;
const COUNT = /^ +(\d+) (passing|pending|failing)(?: \((\d+)(ms|s|m)\))?$/;
const SUITE = /^( +)(\S.*)$/;

export class MochaParser implements RunParser {
  private readonly tally = new Tally();
  private readonly outline = new Outline();
  private readonly counts = new Map<string, number>();
  private parts: string[] | undefined; // of the name of a failure, of which every suite has a line

  get isOver(): boolean {
    return this.counts.has("passing");
  }

  line(text: string): void {
    const count = COUNT.exec(text);
    if (count !== null) {
      this.counts.set(count[2] ?? "", Number(count[1]));
      return;
    }
    if (this.counts.has("passing")) this.failure(text);
    else this.running(text);
  }

  end(): TestRun | undefined {
    if (!this.counts.has("passing")) return undefined;
    const of = (name: string) => this.counts.get(name) ?? 0;
    return this.tally.run("mocha", { passed: of("passing"), failed: of("failing"), skipped: of("pending") });
  }

  private running(text: string): void {
    const pass = PASS.exec(text);
    const pending = PENDING.exec(text);
    const fail = FAIL.exec(text);
    if (pass !== null) {
      const name = this.outline.name(pass[1]?.length ?? 0, pass[2] ?? "");
      this.tally.add(name, "passed", { durationMs: milliseconds(pass[3], "ms") });
    } else if (fail !== null) this.tally.add(this.outline.name(fail[1]?.length ?? 0, fail[2] ?? ""), "failed");
    else if (pending !== null) this.tally.add(this.outline.name(pending[1]?.length ?? 0, pending[2] ?? ""), "skipped");
    else {
      const suite = SUITE.exec(text);
      if (suite !== null) this.outline.suite(suite[1]?.length ?? 0, suite[2] ?? "");
      else if (text === "") return;
      else this.outline.clear(); // what the program under test writes stands at the margin
    }
  }

  /** `  1) a basket`, `       of two`, `         breaks:`: the last part of the name ends with a colon. */
  private failure(text: string): void {
    const begin = /^ {2}\d+\) (.+)$/.exec(text);
    if (begin !== null) this.parts = [];
    if (this.parts === undefined) return;
    const part = (begin?.[1] ?? text).trim();
    if (part === "" || this.parts.length > 30) this.parts = undefined;
    else if (part.endsWith(":")) {
      this.tally.add([...this.parts, part.slice(0, -1)].join(SEPARATOR), "failed");
      this.parts = undefined;
    } else this.parts.push(part);
  }
}
