/** What a run of tests came to, as it is gathered. It reads no output and has bounds for all it keeps. */

export type TestOutcome = "passed" | "failed" | "skipped";

/** One test of a run. */
export interface TestResult {
  /** As its runner names it, so that it is the same from run to run. */
  readonly test: string;
  readonly outcome: TestOutcome;
  readonly durationMs?: number;
  /** A parser has it as the runner writes it, mostly relative to where that was started. */
  readonly file?: string;
}

export interface Totals {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** A run that is over. */
export interface TestRun {
  readonly runner: string;
  readonly results: readonly TestResult[];
  /** What the runner says where it does, else what was counted. */
  readonly totals: Totals;
}

/** Tests by name of one run; later ones are counted and not named. */
export const RESULTS_MAX = 2000;
/** Of a name, in UTF-16 units. The protocol's own names are no longer either. */
export const NAME_MAX = 200;

/** A parser of one runner's output: lines in, a run out. */
export interface RunParser {
  line(text: string): void;
  /** Whether the runner has said that it is through; watchers begin again after it. */
  readonly isOver: boolean;
  /** The run, or undefined where the lines were none of this runner. Afterwards the parser is used up. */
  end(): TestRun | undefined;
}

export class Tally {
  private readonly results = new Map<string, TestResult>();
  private readonly unnamed = { passed: 0, failed: 0, skipped: 0 };

  /** A test has ended so. Of one that is told twice (in a summary, or run again) the last word counts. */
  add(
    test: string,
    outcome: TestOutcome,
    more: { durationMs?: number | undefined; file?: string | undefined } = {},
  ): void {
    const name = test.trim().slice(0, NAME_MAX);
    if (name === "") return;
    const key = `${more.file ?? ""}\n${name}`;
    const before = this.results.get(key);
    if (before === undefined && this.results.size >= RESULTS_MAX) {
      this.unnamed[outcome] += 1;
      return;
    }
    const durationMs = more.durationMs ?? before?.durationMs;
    const file = more.file?.slice(0, NAME_MAX);
    this.results.set(key, {
      test: name,
      outcome,
      ...(durationMs === undefined || Number.isNaN(durationMs) ? {} : { durationMs }),
      ...(file === undefined || file === "" ? {} : { file }),
    });
  }

  get isEmpty(): boolean {
    return this.results.size === 0;
  }

  /** What was counted. */
  counted(): Totals {
    const totals = { ...this.unnamed };
    for (const { outcome } of this.results.values()) totals[outcome] += 1;
    return totals;
  }

  run(runner: string, said: Partial<Totals> | undefined): TestRun {
    const counted = this.counted();
    // A file that cannot even be loaded is no failing test to some runners, but it is no success either.
    const totals =
      said === undefined
        ? counted
        : {
            passed: said.passed ?? 0,
            failed: Math.max(said.failed ?? 0, counted.failed),
            skipped: said.skipped ?? 0,
          };
    return { runner, results: [...this.results.values()], totals };
  }
}

/** Names of suites by depth, for runners that show them by indentation. */
export class Outline {
  private readonly open: { readonly depth: number; readonly name: string }[] = [];

  /** A suite begins; those as deep or deeper are over. */
  suite(depth: number, name: string): void {
    this.leave(depth);
    if (this.open.length < 30) this.open.push({ depth, name });
  }

  /** Suites as deep or deeper are over. */
  leave(depth: number): void {
    while ((this.open.at(-1)?.depth ?? -1) >= depth) this.open.pop();
  }

  /** The full name of a test at that depth. */
  name(depth: number, test: string): string {
    this.leave(depth);
    return [...this.open.map((suite) => suite.name), test].join(SEPARATOR);
  }

  clear(): void {
    this.open.length = 0;
  }
}

/** Between the names of suites and that of the test, as jest's and vitest's. */
export const SEPARATOR = " > ";

/** `1.5` and `ms`, `s` or `m` are so many milliseconds. NaN for what is no number. */
export function milliseconds(figure: string | undefined, unit: string | undefined): number {
  const factor = unit === "s" ? 1000 : unit === "m" ? 60_000 : 1;
  return Math.round(Number.parseFloat(figure ?? "") * factor);
}
