/** Reads jest's output, verbose or not. Knows no other runner. */

import { milliseconds, Outline, SEPARATOR, Tally, type RunParser, type TestRun, type Totals } from "./tally.js";

const FILE = /^ *(PASS|FAIL)  ?(\S.*?)(?: \([\d.]+ m?s\))?$/;
const TEST = /^( {2,})([✓✕√×○✎]) (?:(?:skipped|todo) )?(.+?)(?: \(([\d.]+) (ms|s|m)\))?$/u;
const FAILURE = /^ {2}● (.+)$/u;
const SUITE = /^( {2,})(\S.*)$/;
const TESTS = /^Tests: +((?:\d+ \w+(?:, )?)+)$/;
const TIME = /^Time: +[\d.]+ ?m?s/;
/** Headings of jest's own that look like the name of a failing test. */
const HEADING = /^(?:Console|Cannot log after tests are done|process\.exit called|.* Warning:?)/;

export class JestParser implements RunParser {
  private readonly tally = new Tally();
  private readonly outline = new Outline();
  private said: Totals | undefined;
  private file = "";
  private isListing = false; // names of tests may come; after the first failure's text none do

  isOver = false;

  line(text: string): void {
    const file = FILE.exec(text);
    if (file !== null) {
      this.file = file[2] ?? "";
      this.isListing = true;
      this.outline.clear();
      return;
    }
    const tests = TESTS.exec(text);
    if (tests !== null) this.said = totals(tests[1] ?? "");
    if (this.said !== undefined && TIME.test(text)) this.isOver = true;
    if (this.file === "" || this.said !== undefined) return;
    const failure = FAILURE.exec(text);
    if (failure !== null) return this.failure(failure[1] ?? "");
    if (this.isListing) this.listed(text);
  }

  end(): TestRun | undefined {
    return this.said === undefined ? undefined : this.tally.run("jest", this.said);
  }

  private listed(text: string): void {
    const test = TEST.exec(text);
    if (test !== null) {
      const [, indent, mark, title, figure, unit] = test;
      const outcome = /[✓√]/u.test(mark ?? "") ? "passed" : /[✕×]/u.test(mark ?? "") ? "failed" : "skipped";
      const name = this.outline.name(indent?.length ?? 0, title ?? "");
      this.tally.add(name, outcome, { file: this.file, durationMs: milliseconds(figure, unit) });
      return;
    }
    const suite = SUITE.exec(text);
    if (suite !== null) this.outline.suite(suite[1]?.length ?? 0, suite[2] ?? "");
  }

  private failure(title: string): void {
    if (HEADING.test(title)) return;
    this.isListing = false;
    if (title === "Test suite failed to run") this.tally.add(this.file, "failed", { file: this.file });
    else this.tally.add(title.split(" › ").join(SEPARATOR), "failed", { file: this.file });
  }
}

function totals(text: string): Totals {
  const counts = new Map<string, number>();
  for (const [, count, word] of text.matchAll(/(\d+) (\w+)/g)) counts.set(word ?? "", Number(count));
  const of = (word: string) => counts.get(word) ?? 0;
  return { passed: of("passed"), failed: of("failed"), skipped: of("skipped") + of("todo") };
}
