/** Reads `cargo test`: unit, integration and documentation tests. Knows no other runner. */

import { Tally, type RunParser, type TestOutcome, type TestRun } from "./tally.js";

const TEST = /^test (.+?)(?: - should panic)? \.\.\. (ok|FAILED|ignored)(?:, .*| <[\d.]+s>)?$/;
const RUNNING = /^ +Running (?:unittests )?(\S+) \(/;
const DOCUMENTATION = /^ +Doc-tests \S+$/;
const RESULT = /^test result: (?:ok|FAILED)\. (\d+) passed; (\d+) failed; (\d+) ignored;/;
/** A documentation test is called by its file and line; the line changes with every edit above it. */
const EXAMPLE = /^(\S+) - (.*?) ?\(line \d+\)$/;

const OUTCOMES: Readonly<Record<string, TestOutcome>> = { ok: "passed", FAILED: "failed", ignored: "skipped" };

export class CargoParser implements RunParser {
  private readonly tally = new Tally();
  private readonly totals = { passed: 0, failed: 0, skipped: 0 };
  private programs = 0;
  private file: string | undefined;

  /** Programs come one after the other; only the end of cargo is the end. */
  readonly isOver = false;

  line(text: string): void {
    const running = RUNNING.exec(text);
    if (running !== null) this.file = running[1];
    else if (DOCUMENTATION.test(text)) this.file = undefined;
    const test = TEST.exec(text);
    if (test !== null) return this.test(test[1] ?? "", OUTCOMES[test[2] ?? ""] ?? "failed");
    const result = RESULT.exec(text);
    if (result === null) return;
    this.programs += 1;
    this.totals.passed += Number(result[1]);
    this.totals.failed += Number(result[2]);
    this.totals.skipped += Number(result[3]);
  }

  end(): TestRun | undefined {
    return this.programs === 0 ? undefined : this.tally.run("cargo", this.totals);
  }

  private test(name: string, outcome: TestOutcome): void {
    const example = EXAMPLE.exec(name);
    if (example === null) this.tally.add(name, outcome, { file: this.file });
    else this.tally.add(`${example[1]} - ${example[2] || "example"}`, outcome, { file: example[1] });
  }
}
