/** Reads vitest's output: its tree, `--reporter verbose`, and the failures. Knows no other runner. */

import { milliseconds, Tally, type RunParser, type TestOutcome, type TestRun, type Totals } from "./tally.js";

const MARK = "([✓×↓□])";
const LENGTH = "(?: ([\\d.]+)(ms|s))?";
/** ` ✓ a.test.js > a basket > is kept 1ms`, or with the project's name `|unit| a.test.js > …`. */
const VERBOSE = new RegExp(`^ ${MARK} (?:\\|[^|]+\\| +)?(\\S+?\\.[cm]?[jt]sx?) > (.+?)${LENGTH}(?: \\[.*\\])?$`, "u");
/** A file of the tree: ` ❯ a.test.js (6 tests | 2 failed) 11ms`. */
const FILE = /^ [✓❯×] (?:\|[^|]+\| +)?(\S+?\.[cm]?[jt]sx?) \(\d+ tests?\b/u;
/** A test right below its file. Deeper ones stand there without the names of their suites, so without a name of their own. */
const LISTED = new RegExp(`^ {3}${MARK} (.+?)${LENGTH}$`, "u");
const FAILED = /^ *FAIL +(?:\|[^|]+\| +)?(\S+?\.[cm]?[jt]sx?)(?: > (.+?))?(?: \[.*\])?$/u;
/** The live summary, which a run that is broken off leaves behind, has one blank there. */
const TESTS = /^ *Tests {2,}(?:no tests|((?:\d+ \w+(?: \| )?)+) \(\d+\))$/;
/** The live summary has no parts in brackets. */
const DURATION = /^ *Duration +[\d.]+m?s \(/;
const RERUN = /^ *(?:RUN|RERUN|DEV)\b/;

export class VitestParser implements RunParser {
  private readonly tally = new Tally();
  private said: Totals | undefined;
  private isFound = false;
  private file: string | undefined; // of the tree

  isOver = false;

  line(text: string): void {
    if (RERUN.test(text)) this.isFound = true;
    if (!this.isFound) return;
    const verbose = VERBOSE.exec(text);
    if (verbose !== null) {
      const [, mark, file, title, figure, unit] = verbose;
      this.tally.add(title ?? "", outcomeOf(mark ?? ""), { file, durationMs: milliseconds(figure, unit) });
      return;
    }
    this.file = FILE.exec(text)?.[1] ?? (/^ {3}/.test(text) ? this.file : undefined);
    const listed = this.file === undefined ? null : LISTED.exec(text);
    if (listed !== null) {
      const [, mark, title, figure, unit] = listed;
      this.tally.add(title ?? "", outcomeOf(mark ?? ""), { file: this.file, durationMs: milliseconds(figure, unit) });
      return;
    }
    const failed = FAILED.exec(text);
    if (failed !== null) {
      // A file that cannot be loaded fails by its own name.
      this.tally.add(failed[2] ?? failed[1] ?? "", "failed", { file: failed[1] });
      return;
    }
    const tests = TESTS.exec(text);
    if (tests !== null) this.said = totals(tests[1] ?? "");
    if (this.said !== undefined && DURATION.test(text)) this.isOver = true;
  }

  end(): TestRun | undefined {
    return this.said === undefined ? undefined : this.tally.run("vitest", this.said);
  }
}

function outcomeOf(mark: string): TestOutcome {
  return mark === "✓" ? "passed" : mark === "×" ? "failed" : "skipped";
}

function totals(text: string): Totals {
  const counts = new Map<string, number>();
  for (const [, count, word] of text.matchAll(/(\d+) (\w+)/g)) counts.set(word ?? "", Number(count));
  const of = (word: string) => counts.get(word) ?? 0;
  return { passed: of("passed"), failed: of("failed"), skipped: of("skipped") + of("todo") };
}
