/** What runners really wrote to a terminal, recorded, comes to the runs that it was. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { CargoParser } from "../../src/activity/runs/cargo.js";
import { GoJsonParser } from "../../src/activity/runs/go_json.js";
import { GoTestParser } from "../../src/activity/runs/go_test.js";
import { JestParser } from "../../src/activity/runs/jest.js";
import { OUTPUT_MAX, RunReader } from "../../src/activity/runs/run_reader.js";
import { NAME_MAX, RESULTS_MAX, Tally, type RunParser, type TestRun } from "../../src/activity/runs/tally.js";
import { NodeSpecParser } from "../../src/activity/runs/node_spec.js";
import { PytestParser } from "../../src/activity/runs/pytest.js";
import { TapParser } from "../../src/activity/runs/tap.js";
import { UnittestParser } from "../../src/activity/runs/unittest.js";
import { VitestParser } from "../../src/activity/runs/vitest.js";

const FIXTURES = "tests/fixtures/runs/";
const RECORDED = readdirSync(`${FIXTURES}recorded`).map((name) => name.replace(".txt", ""));
const EXPECTED = JSON.parse(readFileSync(`${FIXTURES}runs.json`, "utf8")) as Record<string, unknown>;

const recorded = (name: string) => readFileSync(`${FIXTURES}recorded/${name}.txt`, "utf8");

function brief(run: TestRun): unknown {
  const names = (outcome: string) =>
    run.results
      .filter((result) => result.outcome === outcome)
      .map((result) => result.test)
      .sort();
  const files = [...new Set(run.results.flatMap((result) => result.file ?? []))];
  const { runner, totals } = run;
  return { runner, totals, files, passed: names("passed"), failed: names("failed"), skipped: names("skipped") };
}

function read(chunks: Iterable<string>): readonly TestRun[] {
  const reader = new RunReader();
  for (const chunk of chunks) reader.write(chunk);
  return reader.take();
}

function parsed(parser: RunParser, text: string): TestRun | undefined {
  for (const line of text.split("\n")) parser.line(line);
  return parser.end();
}

test("every recording has an expectation, and every expectation a recording", () => {
  assert.deepEqual(RECORDED.sort(), Object.keys(EXPECTED).sort());
});

for (const name of RECORDED) {
  test(`${name}: the runs, in one piece and in pieces of every size`, () => {
    const text = recorded(name);
    assert.deepEqual(read([text]).map(brief), EXPECTED[name]);
    for (const size of [1, 7, 100]) {
      const pieces = Array.from({ length: Math.ceil(text.length / size) }, (_, at) =>
        text.slice(at * size, (at + 1) * size),
      );
      assert.deepEqual(read(pieces).map(brief), EXPECTED[name], `in pieces of ${size}`);
    }
  });

  test(`${name}: without colours it is the same`, () => {
    const text = recorded(name).replace(/\u001b\[[\d;]*m/g, "");
    assert.deepEqual(read([text]).map(brief), EXPECTED[name]);
  });
}

test("one failure has the same name however it was run", () => {
  const failing = (name: string) =>
    read([recorded(name)]).flatMap((run) => run.results.filter((one) => one.outcome === "failed"));
  const same = [
    ["pytest-quiet", "pytest-plain", "pytest-verbose", "pytest-all", "pytest-workers"],
    ["unittest-quiet", "unittest-verbose"],
    ["node-spec", "node-tap", "node-current"],
    ["mocha-spec", "mocha-dot"],
    ["jest-many", "jest-verbose", "jest-one"],
    ["vitest-many", "vitest-verbose"],
    ["go-plain", "go-verbose", "go-json"],
    ["cargo-all", "cargo-stops"],
  ];
  for (const names of same) {
    const first = failing(names[0] ?? "")
      .map((one) => one.test)
      .sort();
    assert.ok(first.length > 0, names[0]);
    for (const name of names)
      assert.deepEqual(
        failing(name)
          .map((one) => one.test)
          .sort(),
        first,
        name,
      );
  }
});

test("durations are milliseconds, where the runner says them by test", () => {
  const duration = (name: string, of: string) =>
    read([recorded(name)])
      .flatMap((run) => run.results)
      .find((one) => one.test === of)?.durationMs;
  assert.equal(duration("mocha-spec", "a basket > takes its time"), 95);
  assert.equal(typeof duration("node-tap", "sort"), "number");
  assert.equal(duration("go-verbose", "shop/basket.TestCountsEverything"), 0);
  assert.equal(duration("pytest-verbose", "tests/test_sort.py::test_sort"), undefined);
});

test("runs of two runners in one output are two", () => {
  const runs = read([recorded("pytest-verbose"), recorded("cargo-all"), recorded("go-plain")]);
  assert.deepEqual(runs.map((run) => run.runner).sort(), ["cargo", "go", "pytest"]);
});

test("what is no run of tests is none", () => {
  const outputs = [
    "",
    "ok\n",
    "OK\n",
    "FAILED\nPASSED\n",
    "total 12\n-rw-r--r-- 1 ann ann 12 a.py\n",
    "12 passing thoughts\n  3 failing attempts to sleep (9s)\n",
    "ok 1 - a list of mine\nnot ok 2 - b\n",
    "Tests: none\n",
    "test a_thing ... ok\n",
    '{"Action":"pass"}\n{"Action":\n',
  ];
  for (const output of outputs) assert.deepEqual(read([output]), [], JSON.stringify(output));
});

test("a watcher's second run is another one", () => {
  const reader = new RunReader();
  reader.write(recorded("vitest-many"));
  assert.equal(reader.pause(), true);
  assert.equal(reader.take()[0]?.totals.failed, 2);
  assert.equal(reader.pause(), false);
  reader.write(recorded("vitest-green"));
  assert.deepEqual(
    reader.take().map((run) => run.totals),
    [{ passed: 1, failed: 0, skipped: 0 }],
  );
  assert.deepEqual(reader.take(), []);
});

test("a run that is broken off while it shows a live summary is none", () => {
  const text = recorded("vitest-watch");
  const half = text.slice(0, text.indexOf("Test Files", text.indexOf("Failed Tests")));
  assert.deepEqual(read([half]), []);
});

test("a run that has only begun is not over, one that has been stopped is what it came to", () => {
  const verbose = recorded("pytest-verbose");
  const half = verbose.slice(0, verbose.indexOf("tests/test_basket.py::test_prices"));
  const reader = new RunReader();
  reader.write(half);
  assert.equal(reader.pause(), false);
  assert.deepEqual(
    reader.take().map((run) => run.totals),
    [{ passed: 2, failed: 2, skipped: 0 }],
  );
});

test("a run is no success where a file of it could not be loaded", () => {
  const run = parsed(
    new JestParser(),
    " FAIL  a.test.js\n  ● Test suite failed to run\nTests:       1 passed, 1 total\n",
  );
  assert.deepEqual(run?.totals, { passed: 1, failed: 1, skipped: 0 });
});

test("names have a bound, and so has their number; what is beyond is counted", () => {
  const tally = new Tally();
  for (let number = 0; number < RESULTS_MAX; number++) tally.add(`test ${number}`, "passed");
  tally.add("one more", "failed");
  tally.add("test 0", "failed");
  const run = tally.run("x", undefined);
  assert.equal(run.results.length, RESULTS_MAX);
  assert.deepEqual(run.totals, { passed: RESULTS_MAX - 1, failed: 2, skipped: 0 });

  const long = new Tally();
  long.add("n".repeat(NAME_MAX + 1), "passed", { file: "f".repeat(NAME_MAX + 1) });
  const [result] = long.run("x", undefined).results;
  assert.deepEqual([result?.test.length, result?.file?.length], [NAME_MAX, NAME_MAX]);
});

test("output beyond the bound is not read", () => {
  const reader = new RunReader();
  const filler = `${"x".repeat(999)}\n`.repeat(1000);
  for (let written = 0; written <= OUTPUT_MAX; written += filler.length) reader.write(filler);
  reader.write(recorded("pytest-green"));
  assert.deepEqual(reader.take(), []);
});

test("lines that samples do not have", () => {
  const cases: readonly [RunParser, string, unknown][] = [
    // A module that cannot be imported fails by its own name.
    [
      new PytestParser(),
      "=== short test summary info ===\nERROR tests/test_a.py - ModuleNotFoundError: x\n!!! Interrupted: 1 error during collection !!!\n=== 1 error in 0.10s ===",
      { passed: [], failed: ["tests/test_a.py"] },
    ],
    [
      new PytestParser(),
      "=== test session starts ===\na/test_b.py::test_c[x y] PASSED [100%]\n=== 1 passed, 3 deselected, 2 warnings in 61.00s (0:01:01) ===",
      { passed: ["a/test_b.py::test_c[x y]"], failed: [] },
    ],
    // Before Python 3.11 the name stands once.
    [
      new UnittestParser(),
      "test_a (m.Class) ... ok\ntest_b (m.Class) ... FAIL\n\nRan 2 tests in 0.1s\n\nFAILED (failures=1)",
      { passed: ["m.Class.test_a"], failed: ["m.Class.test_b"] },
    ],
    [
      new JestParser(),
      " FAIL  a.test.js\n  ● Console\n\n  ● Test suite failed to run\n\nTests:       0 total\n",
      { passed: [], failed: ["a.test.js"] },
    ],
    [
      new JestParser(),
      " FAIL  a.test.js\n  ● Test suite failed to run\nTests:       1 passed, 1 total\n",
      { passed: [], failed: ["a.test.js"] },
    ],
    [
      new VitestParser(),
      " RUN  v3.0.0 /p\n FAIL  |unit| a.test.ts [ a.test.ts ]\n ✓ |unit| b.test.ts > c > d 2ms\n      Tests  1 passed (1)\n",
      { passed: ["c > d"], failed: ["a.test.ts"] },
    ],
    [
      new GoTestParser(),
      "# shop/basket\nbasket/a.go:3:1: syntax error\nFAIL\tshop/basket [build failed]\nok  \tshop/sort\t(cached)\n?   \tshop/plain\t[no test files]\nFAIL",
      { passed: ["shop/sort"], failed: ["shop/basket"] },
    ],
    [
      new GoJsonParser(),
      '{"Action":"output","Package":"p","Output":"x"}\n{"Action":"fail","Package":"p","Elapsed":0.1}',
      { passed: [], failed: ["p"] },
    ],
    [
      new CargoParser(),
      "test tests::a ... ignored, slow\ntest tests::b ... FAILED\ntest result: FAILED. 0 passed; 1 failed; 1 ignored; 0 measured",
      { passed: [], failed: ["tests::b"] },
    ],
    [new TapParser(), "TAP version 14\n1..2\nok\nnot ok 2 # TODO later\n", { passed: ["test 1"], failed: [] }],
    [
      new NodeSpecParser(),
      "✔ a # SKIP\n✔ b (1.5s)\nℹ tests 2\nℹ pass 1\nℹ fail 0\nℹ skipped 1\n",
      { passed: ["b"], failed: [] },
    ],
  ];
  for (const [parser, text, expected] of cases) {
    const run = parsed(parser, text);
    const names = (outcome: string) => run?.results.filter((one) => one.outcome === outcome).map((one) => one.test);
    assert.deepEqual(
      run === undefined ? undefined : { passed: names("passed"), failed: names("failed") },
      expected,
      text,
    );
  }
});
