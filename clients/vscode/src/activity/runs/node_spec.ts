/** Reads what `node --test` writes for people (its reporter `spec`). Its TAP is another parser's. */

import { milliseconds, Outline, Tally, type RunParser, type TestOutcome, type TestRun } from "./tally.js";

const SUITE = /^( *)▶ (.+?)(?: \(([\d.]+)ms\))?$/u;
/** The title may have a `#` in it; behind the time one begins the note. */
const TEST = /^( *)([✔✖﹣⚠]) (.+?)(?: \(([\d.]+)(ms|s)\)( # .*)?|( # (?:SKIP|TODO).*))?$/u;
const COUNT = /^ℹ (tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) ([\d.]+)$/u;
const AGAIN = /^✖ failing tests:$/u;

export class NodeSpecParser implements RunParser {
  private readonly tally = new Tally();
  private readonly outline = new Outline();
  private readonly suites = new Set<string>();
  private readonly counts = new Map<string, number>();
  private isThrough = false;

  get isOver(): boolean {
    return this.counts.has("duration_ms");
  }

  line(text: string): void {
    const count = COUNT.exec(text);
    if (count !== null) {
      this.counts.set(count[1] ?? "", Number(count[2]));
      return;
    }
    // What follows tells the failing ones a second time, without their suites.
    if (AGAIN.test(text) || this.isOver) this.isThrough = true;
    if (this.isThrough) return;
    const suite = SUITE.exec(text);
    if (suite !== null) {
      const depth = suite[1]?.length ?? 0;
      this.suites.add(this.outline.name(depth, suite[2] ?? ""));
      this.outline.suite(depth, suite[2] ?? "");
      return;
    }
    const test = TEST.exec(text);
    if (test !== null) this.add(test);
  }

  end(): TestRun | undefined {
    if (!this.counts.has("tests") || !this.counts.has("pass")) return undefined;
    const of = (name: string) => this.counts.get(name) ?? 0;
    return this.tally.run("node", {
      passed: of("pass"),
      failed: of("fail") + of("cancelled"),
      skipped: of("skipped") + of("todo"),
    });
  }

  private add(test: RegExpExecArray): void {
    const [, indent, mark, title, figure, unit, behind, alone] = test;
    const name = this.outline.name(indent?.length ?? 0, title ?? "");
    // A suite says at its end how it went; its tests have been told.
    if (this.suites.delete(name)) return;
    const isExcused = /^ # (?:SKIP|TODO)/.test(behind ?? alone ?? "") || mark === "﹣" || mark === "⚠";
    const outcome: TestOutcome = isExcused ? "skipped" : mark === "✔" ? "passed" : "failed";
    this.tally.add(name, outcome, { durationMs: milliseconds(figure, unit) });
  }
}
