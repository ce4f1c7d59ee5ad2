/**
 * Reads the output of one command for runs of tests. It hears chunks and says which runs there were; it tells nobody.
 *
 * Every parser sees every line; the ones that find their own runner's summary speak up. So `make check` may be two runs, and
 * a program that is no test is none.
 */

import { CargoParser } from "./cargo.js";
import { GoJsonParser } from "./go_json.js";
import { GoTestParser } from "./go_test.js";
import { JestParser } from "./jest.js";
import { MochaParser } from "./mocha.js";
import { NodeSpecParser } from "./node_spec.js";
import { PytestParser } from "./pytest.js";
import { Screen } from "./screen.js";
import { TapParser } from "./tap.js";
import type { RunParser, TestRun } from "./tally.js";
import { UnittestParser } from "./unittest.js";
import { VitestParser } from "./vitest.js";

/** Of one run. What a chattier one writes beyond it is not read, up to its end. */
export const OUTPUT_MAX = 20_000_000;

function parsers(): readonly RunParser[] {
  return [
    new PytestParser(),
    new UnittestParser(),
    new VitestParser(),
    new JestParser(),
    new MochaParser(),
    new NodeSpecParser(),
    new TapParser(),
    new GoTestParser(),
    new GoJsonParser(),
    new CargoParser(),
  ];
}

export class RunReader {
  private parsers = parsers();
  private screen = this.opened();
  private length = 0;

  write(chunk: string): void {
    this.length += chunk.length;
    if (this.length <= OUTPUT_MAX) this.screen.write(chunk);
  }

  /** What has been written is all for now: the runs in it, and whether some runner has said that it is through. */
  pause(): boolean {
    this.screen.flush();
    return this.parsers.some((parser) => parser.isOver);
  }

  /** The runs so far, each once. What is written later is another one. */
  take(): readonly TestRun[] {
    this.screen.flush();
    const runs = this.parsers.flatMap((parser) => parser.end() ?? []);
    this.parsers = parsers();
    this.screen = this.opened();
    this.length = 0;
    return runs;
  }

  private opened(): Screen {
    return new Screen((line) => {
      for (const parser of this.parsers) parser.line(line);
    });
  }
}
