/** Reads pytest's output: `-v`, the short summary (also of `-q` and `-rA`), xdist's workers. Knows no other runner. */

import { Tally, type RunParser, type TestOutcome, type TestRun, type Totals } from "./tally.js";

const OUTCOMES: Readonly<Record<string, TestOutcome>> = {
  PASSED: "passed",
  XPASS: "passed",
  FAILED: "failed",
  ERROR: "failed",
  SKIPPED: "skipped",
  XFAIL: "skipped",
};
const WORD = "(PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)";
/** `tests/test_a.py::TestB::test_c[1] PASSED   [ 11%]`; a parameter may have blanks in it. */
const VERBOSE = new RegExp(`^(\\S+?\\.\\w+::.+?) ${WORD}(?: \\(.*\\))?(?: +\\[ *\\d+%\\])?$`);
/** `[gw0] [ 11%] PASSED tests/test_a.py::test_b`. */
const WORKER = new RegExp(`^\\[gw\\d+\\] \\[ *\\d+%\\] ${WORD} (\\S+?\\.\\w+::.+)$`);
/** `FAILED tests/test_a.py::test_b - AssertionError`; of a file that cannot be collected it is the file alone. */
const SHORT = new RegExp(`^${WORD} (\\S+?\\.\\w+(?:::.+?)?)(?: - .*)?$`);
/** `==== 2 failed, 4 passed in 0.26s ====`, without the signs where it is quiet. */
const SUMMARY = /^(?:=+ )?((?:\d+ [a-z]+(?:, )?)+|no tests ran) in ([\d.]+)s(?: \([\d:]+\))?(?: =+)?$/;
const BEGIN = /^=+ test session starts =+$/;

export class PytestParser implements RunParser {
  private readonly tally = new Tally();
  private said: Totals | undefined;
  private isFound = false;
  private inSummary = false;

  get isOver(): boolean {
    return this.said !== undefined;
  }

  line(text: string): void {
    if (BEGIN.test(text)) this.isFound = true;
    if (/^=+ short test summary info =+$/.test(text)) this.inSummary = true;
    const told = VERBOSE.exec(text);
    if (told !== null) return this.add(told[1] ?? "", told[2] ?? "");
    const worker = WORKER.exec(text);
    if (worker !== null) return this.add(worker[2] ?? "", worker[1] ?? "");
    const short = this.inSummary ? SHORT.exec(text) : null;
    if (short !== null) return this.add(short[2] ?? "", short[1] ?? "");
    const summary = SUMMARY.exec(text);
    if (summary !== null) this.said = totals(summary[1] ?? "");
  }

  end(): TestRun | undefined {
    if (this.said === undefined && (!this.isFound || this.tally.isEmpty)) return undefined;
    return this.tally.run("pytest", this.said);
  }

  private add(id: string, word: string): void {
    const outcome = OUTCOMES[word];
    if (outcome !== undefined) this.tally.add(id, outcome, { file: id.split("::")[0] });
  }
}

function totals(text: string): Totals {
  const counts = new Map<string, number>();
  for (const [, count, word] of text.matchAll(/(\d+) ([a-z]+)/g)) counts.set(word ?? "", Number(count));
  const of = (...words: string[]) => words.reduce((sum, word) => sum + (counts.get(word) ?? 0), 0);
  return {
    passed: of("passed", "xpassed"),
    failed: of("failed", "error", "errors"),
    skipped: of("skipped", "xfailed"),
  };
}
