/** Reads the output of Python's unittest, with and without `-v`; Django's is the same. Knows no other runner. */

import { Tally, type RunParser, type TestOutcome, type TestRun, type Totals } from "./tally.js";

/** `test_a (module.Class.test_a)`; before Python 3.11 `test_a (module.Class)`. */
const TEST = /^\s*(\w+) \(([\w.<>]+)\)/;
const ENDED = /\.\.\. (ok|FAIL|ERROR|skipped\b.*|expected failure|unexpected success)$/;
/** Of a test with a docstring the name stands in the line before. */
const HEADING = /^(FAIL|ERROR|UNEXPECTED SUCCESS): (\w+) \(([\w.<>]+)\)/;
const RAN = /^Ran (\d+) tests? in [\d.]+s$/;
const VERDICT = /^(OK|FAILED|NO TESTS RAN)(?: \((.*)\))?$/;

export class UnittestParser implements RunParser {
  private readonly tally = new Tally();
  private ran: number | undefined;
  private said: Totals | undefined;
  private pending = "";

  get isOver(): boolean {
    return this.said !== undefined;
  }

  line(text: string): void {
    const ran = RAN.exec(text);
    if (ran !== null) {
      this.ran = Number(ran[1]);
      return;
    }
    const verdict = this.ran === undefined ? null : VERDICT.exec(text);
    if (verdict !== null) {
      this.said = totals(this.ran ?? 0, verdict[2] ?? "");
      return;
    }
    const heading = HEADING.exec(text);
    if (heading !== null) return this.tally.add(nameOf(heading[2] ?? "", heading[3] ?? ""), "failed");
    const test = TEST.exec(text);
    if (test !== null) this.pending = nameOf(test[1] ?? "", test[2] ?? "");
    const ended = ENDED.exec(text);
    if (ended === null) return;
    this.tally.add(this.pending, outcomeOf(ended[1] ?? ""));
    this.pending = "";
  }

  end(): TestRun | undefined {
    return this.said === undefined ? undefined : this.tally.run("unittest", this.said);
  }
}

function nameOf(method: string, owner: string): string {
  return owner.endsWith(`.${method}`) ? owner : `${owner}.${method}`;
}

function outcomeOf(word: string): TestOutcome {
  if (word === "ok") return "passed";
  return word.startsWith("skipped") || word === "expected failure" ? "skipped" : "failed";
}

function totals(ran: number, text: string): Totals {
  const counts = new Map<string, number>();
  for (const [, name, count] of text.matchAll(/([a-z ]+)=(\d+)/g)) counts.set((name ?? "").trim(), Number(count));
  const of = (...names: string[]) => names.reduce((sum, name) => sum + (counts.get(name) ?? 0), 0);
  const failed = of("failures", "errors", "unexpected successes");
  const skipped = of("skipped", "expected failures");
  // Two failing subtests are two failures of one test.
  return { passed: Math.max(0, ran - failed - skipped), failed, skipped };
}
