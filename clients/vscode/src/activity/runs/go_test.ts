/** Reads `go test`, plain and `-v`. Its `-json` is another parser's. */

import { milliseconds, Tally, type RunParser, type TestOutcome, type TestRun } from "./tally.js";

const TEST = /^ *--- (PASS|FAIL|SKIP): (\S+) \(([\d.]+)s\)$/;
/** A package has ended. Its tests come before it, and only here is its name. */
const PACKAGE = /^(ok|FAIL|\?) *\t(\S+?)(?: \[build failed\]|\t(?:[\d.]+s|\(cached\)|\[.*\]))/;
/** Tests of one package that wait for its name. */
const WAITING_MAX = 2000;

export const GO_OUTCOMES: Readonly<Record<string, TestOutcome>> = { PASS: "passed", FAIL: "failed", SKIP: "skipped" };

const PACKAGES: Readonly<Record<string, TestOutcome>> = { ok: "passed", FAIL: "failed" };

export interface Waiting {
  readonly test: string;
  readonly outcome: TestOutcome;
  readonly durationMs: number;
}

export class GoTestParser implements RunParser {
  private readonly tally = new Tally();
  private waiting: Waiting[] = [];
  private packages = 0;

  /** Packages come one after the other; only the end of the program is the end. */
  readonly isOver = false;

  line(text: string): void {
    const test = TEST.exec(text);
    if (test !== null) {
      const outcome = GO_OUTCOMES[test[1] ?? ""] ?? "failed";
      if (this.waiting.length < WAITING_MAX) {
        this.waiting.push({ test: test[2] ?? "", outcome, durationMs: milliseconds(test[3], "s") });
      }
      return;
    }
    const ended = PACKAGE.exec(text);
    if (ended === null) return;
    this.packages += 1;
    addPackage(this.tally, ended[2] ?? "", this.waiting, PACKAGES[ended[1] ?? ""] ?? "skipped");
    this.waiting = [];
  }

  end(): TestRun | undefined {
    return this.packages === 0 ? undefined : this.tally.run("go", undefined);
  }
}

/**
 * A test that has others within it fails and passes with them, so it is left out. A package of which no test is named (it did
 * not build, or all is well and go is not asked for more) counts as one test by its own name; without any tests it is none.
 */
export function addPackage(tally: Tally, name: string, tests: readonly Waiting[], outcome: TestOutcome): void {
  const parents = new Set<string>();
  for (const { test } of tests) if (test.includes("/")) parents.add(test.slice(0, test.lastIndexOf("/")));
  for (const { test, outcome: its, durationMs } of tests) {
    if (!parents.has(test)) tally.add(`${name}.${test}`, its, { durationMs });
  }
  if (tests.length === 0 && outcome !== "skipped") tally.add(name, outcome);
}
