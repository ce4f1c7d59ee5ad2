/**
 * Runs of tests, wherever they come from, as events by the name of each test. It reads no output.
 *
 * Of a run the totals come first, then what passed, then what failed: rules that wait for silence after a failing test want it to be
 * the last thing that happened.
 */

import type { Disposable, Editor, SeenTest } from "./editor.js";
import type { Fields, Outlet } from "./outlet.js";
import { SEPARATOR, type TestResult, type TestRun } from "./runs/tally.js";
import { nameWithout } from "./test_names.js";

/** Of one run, by name. The others are in the totals, and in `unnamed`. */
export const FAILED_MAX = 50;
export const PASSED_MAX = 50;
/** Failing tests that are remembered, so that it can be told when they pass. */
export const REMEMBERED_MAX = 500;

export type Source = "terminal" | "task" | "test view" | "extension";

export interface Told {
  readonly source: Source;
  readonly exitCode?: number | undefined;
  /** Names what was run, and is never told. The same one again is the same tests again. */
  readonly command?: string;
}

/** What other extensions may tell of a test. */
export interface TestReport {
  readonly test: string;
  readonly outcome: "passed" | "failed" | "skipped";
  readonly durationMs?: number;
  /** Relative to the workspace. */
  readonly file?: string;
}

interface Remembered {
  readonly runner: string;
  readonly command: string | undefined;
  readonly result: TestResult;
}

export class TestsReporter implements Disposable {
  private readonly failing = new Map<string, Remembered>();
  private readonly subscription: Disposable;

  constructor(
    private readonly editor: Editor,
    private readonly outlet: Outlet,
  ) {
    this.subscription = editor.onTestView((seen) => this.view(seen));
  }

  dispose(): void {
    this.subscription.dispose();
    this.drop();
  }

  /** Forget what has failed. */
  drop(): void {
    this.failing.clear();
  }

  /** A run is over. Nobody else tells of it. */
  run(run: TestRun, told: Told): void {
    if (!this.outlet.may("tests")) return;
    const { runner, totals } = run;
    const failed = run.results.filter((result) => result.outcome === "failed");
    const passed = run.results.filter((result) => result.outcome === "passed");
    // Those that failed before are the ones that somebody waits for.
    const awaited = passed.filter((result) => this.failing.has(keyOf(runner, result)));
    const others = passed.filter((result) => !this.failing.has(keyOf(runner, result)));
    const inferred = this.inferred(run, told);
    const named = [...awaited, ...others].slice(0, Math.max(0, PASSED_MAX - inferred.length));
    const shown = failed.slice(0, FAILED_MAX);
    const unnamed = totals.passed + totals.failed - named.length - inferred.length - shown.length;

    this.outlet.tell("tests", "test.run", {
      runner,
      source: told.source,
      ...totals,
      exitCode: told.exitCode,
      unnamed: Math.max(0, unnamed),
    });
    for (const result of [...awaited, ...others]) this.failing.delete(keyOf(runner, result));
    for (const result of named) this.one(result, runner, told.source);
    for (const result of inferred) this.one(result, runner, told.source, true);
    for (const result of shown) this.one(result, runner, told.source);
    for (const result of failed) this.remember(runner, told.command, result);
  }

  /** Tests were run, and nothing of what they came to can be read. */
  unread(told: Told): void {
    this.outlet.tell("tests", "test.run", { source: told.source, exitCode: told.exitCode });
  }

  /** Another extension tells of a test. Throws where it is none. */
  report(report: TestReport): void {
    const { test, outcome, durationMs, file } = report;
    if (typeof test !== "string" || test === "") throw new Error("testResult: expected the name of the test in test");
    if (outcome !== "passed" && outcome !== "failed" && outcome !== "skipped") {
      throw new Error(`testResult: expected passed, failed or skipped in outcome, got ${JSON.stringify(outcome)}`);
    }
    const isTime = typeof durationMs === "number" && Number.isFinite(durationMs) && durationMs >= 0;
    const place = typeof file === "string" ? this.editor.placeNamed(file) : undefined;
    const isHidden = typeof file === "string" && place?.kind !== "file";
    const result: TestResult = {
      test: (isHidden ? nameWithout(file, test) : test).slice(0, 200),
      outcome,
      ...(isTime ? { durationMs: Math.round(durationMs) } : {}),
      ...(place?.kind === "file" ? { file: place.file } : {}),
    };
    this.one(result, undefined, "extension");
  }

  private view(seen: readonly SeenTest[]): void {
    const results = seen.map(({ test, outcome, durationMs, place }): TestResult => {
      const time = durationMs === undefined ? {} : { durationMs: Math.round(durationMs) };
      // Above it are the file and its folders, by name.
      const name = place === undefined || place.kind === "file" ? test : (test.split(SEPARATOR).at(-1) ?? "");
      return { test: name.slice(0, 200), outcome, ...time, ...(place?.kind === "file" ? { file: place.file } : {}) };
    });
    const totals = { passed: 0, failed: 0, skipped: 0 };
    for (const { outcome } of results) totals[outcome] += 1;
    if (results.length > 0) this.run({ runner: "test view", results, totals }, { source: "test view" });
  }

  private one(result: TestResult, runner: string | undefined, source: Source, isInferred = false): void {
    const { test, outcome, durationMs, file } = result;
    const fields: Fields = { test, file, runner, source, durationMs };
    if (outcome === "failed") this.outlet.tell("tests", "test.failed", fields);
    if (outcome === "passed") {
      this.outlet.tell("tests", "test.passed", { ...fields, inferred: isInferred ? true : undefined });
    }
  }

  private remember(runner: string, command: string | undefined, result: TestResult): void {
    const key = keyOf(runner, result);
    this.failing.delete(key);
    if (this.failing.size >= REMEMBERED_MAX) {
      const oldest = this.failing.keys().next();
      if (oldest.done !== true) this.failing.delete(oldest.value);
    }
    this.failing.set(key, { runner, command, result });
  }

  /**
   * Most runners do not name what passes. Where the command that failed is run again and all is well, what failed then has passed
   * now: of these tests that is told, marked as inferred.
   */
  private inferred(run: TestRun, told: Told): readonly TestResult[] {
    const isWell = run.totals.failed === 0 && run.totals.passed > 0 && (told.exitCode ?? 0) === 0;
    if (!isWell || told.command === undefined) return [];
    const named = new Set(run.results.map((result) => keyOf(run.runner, result)));
    const found: TestResult[] = [];
    for (const [key, { runner, command, result }] of this.failing) {
      if (runner !== run.runner || command !== told.command || named.has(key)) continue;
      this.failing.delete(key);
      const { test, file } = result;
      if (found.length < PASSED_MAX) found.push({ test, outcome: "passed", ...(file === undefined ? {} : { file }) });
    }
    return found;
  }
}

function keyOf(runner: string, { file, test }: TestResult): string {
  return `${runner}\n${file ?? ""}\n${test}`;
}
