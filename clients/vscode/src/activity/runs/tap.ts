/** Reads the Test Anything Protocol, versions 12 to 14: node's, mocha's, tape's and others'. Suites are not counted. */

import { Outline, Tally, type RunParser, type TestOutcome, type TestRun } from "./tally.js";

const POINT = /^( *)(ok|not ok)\b(?: +\d+)?(?: +-)?(?: +(.*?))?$/;
const SUBTEST = /^( *)# Subtest: (.+)$/;
const PLAN = /^( *)1\.\.\d+/;
const VERSION = /^TAP version 1[234]$/;
const COUNT = /^# (tests|suites|pass|fail|cancelled|skipped|todo) (\d+)$/;
const FIELD = /^ *(duration_ms|type): '?([\w.]+)'?$/;
const TODO_OR_SKIP = /(?:^|[^\\]) ?# (?:todo|skip)\b/i;

interface Point {
  readonly name: string;
  readonly outcome: TestOutcome;
  durationMs?: number;
}

export class TapParser implements RunParser {
  private readonly tally = new Tally();
  private readonly outline = new Outline();
  private readonly counts = new Map<string, number>();
  private last: Point | undefined; // its details are still to come
  private points = 0;
  private hasVersion = false;
  private hasPlan = false;
  private nested = -1; // depth of the points that the next one closes

  get isOver(): boolean {
    return this.hasPlan && this.counts.has("pass");
  }

  line(text: string): void {
    if (VERSION.test(text)) this.hasVersion = true;
    const subtest = SUBTEST.exec(text);
    if (subtest !== null) {
      this.settle();
      return this.outline.suite(subtest[1]?.length ?? 0, plain(subtest[2] ?? ""));
    }
    const point = POINT.exec(text);
    if (point !== null) return this.point(point);
    const plan = PLAN.exec(text);
    if (plan !== null) this.hasPlan ||= plan[1] === "";
    const count = COUNT.exec(text);
    if (count !== null) this.counts.set(count[1] ?? "", Number(count[2]));
    const field = this.last === undefined ? null : FIELD.exec(text);
    if (field?.[1] === "duration_ms" && this.last !== undefined) this.last.durationMs = Math.round(Number(field[2]));
    else if (field?.[2] === "suite") this.last = undefined;
  }

  end(): TestRun | undefined {
    this.settle();
    if (this.points === 0 || !(this.hasVersion || this.hasPlan)) return undefined;
    const of = (name: string) => this.counts.get(name) ?? 0;
    // tape and mocha count no skipped ones; node does.
    const said = this.counts.has("skipped")
      ? { passed: of("pass"), failed: of("fail") + of("cancelled"), skipped: of("skipped") + of("todo") }
      : undefined;
    return this.tally.run("tap", said);
  }

  private point(point: RegExpExecArray): void {
    const depth = point[1]?.length ?? 0;
    const text = point[3] ?? "";
    this.settle();
    this.points += 1;
    const isSuite = this.nested > depth;
    this.nested = depth;
    const title = plain(text.replace(/ ?(?<!\\)# (?:todo|skip)\b.*$/i, "")) || `test ${this.points}`;
    const name = this.outline.name(depth, title);
    if (isSuite) return;
    const outcome = TODO_OR_SKIP.test(text) ? "skipped" : point[2] === "ok" ? "passed" : "failed";
    this.last = { name, outcome };
  }

  private settle(): void {
    if (this.last !== undefined)
      this.tally.add(this.last.name, this.last.outcome, { durationMs: this.last.durationMs });
    this.last = undefined;
  }
}

function plain(text: string): string {
  return text.replace(/\\([#\\])/g, "$1").trim();
}
