/** Commands, runs of tests in what they write, and runs that others tell of. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { NAMELESS } from "../../src/activity/test_names.js";
import { Command, Desk } from "./activity_editor.js";
import { FAILED, GREEN, RED, run } from "./activity_recorded.js";

test("a command tells its program and how it ended, and nothing is read of it", async () => {
  const desk = new Desk();
  desk.report();
  const cases: readonly [Command, number | undefined, unknown][] = [
    [new Command("git push --force"), 0, { type: "command.succeeded", program: "git", exitCode: 0, durationMs: 20 }],
    [new Command("make all"), 2, { type: "command.failed", program: "make", exitCode: 2, durationMs: 20 }],
    [new Command("hunter2"), 127, { type: "command.failed", exitCode: 127, durationMs: 20 }],
    [new Command("git push", ["bash"], {}, false), 1, { type: "command.failed", exitCode: 1, durationMs: 20 }],
    [new Command(""), 0, undefined],
    [new Command("sleep 9"), undefined, undefined],
  ];
  for (const [command, exitCode, expected] of cases) {
    await run(desk, command, "secret output", exitCode);
    assert.deepEqual(desk.take(), expected === undefined ? [] : [expected], command.commandLine);
    assert.equal(command.reads, 0, command.commandLine);
  }
});

test("a run of tests in a terminal: the command, the totals, what passed, and last what failed", async () => {
  const desk = new Desk();
  desk.report();
  await run(desk, new Command("pytest -q tests"), RED, 1);
  const [command, totals, ...tests] = desk.take();
  assert.deepEqual(command, { type: "command.failed", program: "pytest", exitCode: 1, durationMs: 20 });
  assert.deepEqual(totals, {
    type: "test.run",
    runner: "pytest",
    source: "terminal",
    passed: 4,
    failed: 3,
    skipped: 2,
    exitCode: 1,
    unnamed: 4,
  });
  assert.deepEqual(
    tests,
    FAILED.map((name) => ({
      type: "test.failed",
      test: name,
      file: "app/tests/test_basket.py",
      runner: "pytest",
      source: "terminal",
    })),
  );
});

for (const [runner, output, failed] of [
  ["pytest", "../b/t.py::test_a FAILED\r\n=== 1 failed in 0.1s ===\r\n", "test_a"],
  ["pytest", "tests/test_password.py::TestB::test_a[1] FAILED\r\n=== 1 failed in 0.1s ===\r\n", "TestB::test_a[1]"],
  [
    "pytest",
    "=== short test summary info ===\r\nERROR secrets/test_a.py - ImportError\r\n=== 1 error in 0.1s ===\r\n",
    NAMELESS,
  ],
  [
    "cargo",
    "test src/secret.rs - total (line 3) ... FAILED\r\ntest result: FAILED. 0 passed; 1 failed; 0 ignored;\r\n",
    "total",
  ],
  ["jest", " FAIL  ../other/a.test.js\r\n  ● Test suite failed to run\r\nTests:       1 failed, 1 total\r\n", NAMELESS],
  [
    "vitest",
    " RUN  v3.0.0 /p\r\n FAIL  secrets/a.test.ts [ secrets/a.test.ts ]\r\n      Tests  1 failed (1)\r\n",
    NAMELESS,
  ],
  ["node", "✖ /home/ann/other/a.test.js (9ms)\r\nℹ tests 1\r\nℹ pass 0\r\nℹ fail 1\r\n", NAMELESS],
  ["pytest", `../${"n".repeat(200)}.py::test_a FAILED\r\n=== 1 failed in 0.1s ===\r\n`, NAMELESS],
] as const) {
  test(`a file that is told to nobody is in no name either: ${runner}, ${failed}`, async () => {
    const desk = new Desk();
    desk.report();
    await run(desk, new Command(runner === "node" ? "node --test" : `${runner} test`), output, 1);
    const told = desk.take().at(-1);
    assert.deepEqual([told?.type, told?.["test"], told?.["file"]], ["test.failed", failed, undefined]);
    assert.ok(String(told?.["runner"]).startsWith(runner));
  });
}

test("a file that node cannot load is told by its path in the workspace", async () => {
  const desk = new Desk();
  desk.report();
  const output = "✖ /home/ann/shop/app/a.test.js (9ms)\r\nℹ tests 1\r\nℹ pass 0\r\nℹ fail 1\r\n";
  await run(desk, new Command("node --test"), output, 1);
  const told = desk.take().at(-1);
  assert.deepEqual([told?.["test"], told?.["file"]], ["app/a.test.js", "app/a.test.js"]);
});

test("the same command without failures passes what failed, though the runner does not name it", async () => {
  const desk = new Desk();
  desk.report();
  await run(desk, new Command("pytest -q tests"), RED, 1);
  desk.take();
  await run(desk, new Command("pytest -q other"), GREEN, 0);
  assert.deepEqual(desk.types(), ["command.succeeded", "test.run"], "another command is about other tests");
  await run(desk, new Command("pytest -q tests"), GREEN, 0);
  const told = desk.take();
  assert.deepEqual(
    told.slice(2).map((event) => [event.type, event["test"], event["inferred"]]),
    FAILED.map((name) => ["test.passed", name, true]),
  );
  assert.equal(told[1]?.["unnamed"], 6);
  await run(desk, new Command("pytest -q tests"), GREEN, 0);
  assert.deepEqual(desk.types(), ["command.succeeded", "test.run"], "it is told once");
});

test("nothing is inferred of a run that did not end well", async () => {
  const desk = new Desk();
  desk.report();
  await run(desk, new Command("pytest -q tests"), RED, 1);
  desk.take();
  await run(desk, new Command("pytest -q tests"), GREEN, 1);
  assert.deepEqual(desk.types(), ["command.failed", "test.run"]);
  await run(desk, new Command("pytest -q tests"), "no tests ran in 0.01s\r\n", 0);
  assert.deepEqual(desk.types(), ["command.succeeded", "test.run"]);
});

test("a test that failed and is named when it passes is told before others", async () => {
  const desk = new Desk();
  desk.report();
  const line = (name: string, word: string) => `t.py::${name} ${word} [ 1%]\r\n`;
  const passed = Array.from({ length: 60 }, (_, number) => line(`test_${number}`, "PASSED")).join("");
  await run(desk, new Command("pytest"), `${line("test_z", "FAILED")}=== 1 failed in 0.1s ===\r\n`, 1);
  desk.take();
  await run(desk, new Command("pytest"), `${passed}${line("test_z", "PASSED")}=== 61 passed in 0.1s ===\r\n`, 0);
  const [, totals, first, ...others] = desk.take();
  assert.equal(totals?.["unnamed"], 11);
  assert.deepEqual([first?.["test"], first?.["inferred"]], ["t.py::test_z", undefined]);
  assert.equal(others.length, 49);
});

test("fifty failing tests have events, the rest are counted", async () => {
  const desk = new Desk();
  desk.report();
  const lines = Array.from({ length: 51 }, (_, number) => `t.py::test_${number} FAILED\r\n`).join("");
  await run(desk, new Command("pytest"), `${lines}=== 51 failed in 0.1s ===\r\n`, 1);
  const told = desk.take();
  assert.equal(told.length, 52);
  assert.equal(told[1]?.["unnamed"], 1);
});

test("output that shows tests without running them is not read", async () => {
  const desk = new Desk();
  desk.report();
  const command = new Command("cat tests/last_run.txt");
  await run(desk, command, RED, 0);
  assert.deepEqual(desk.types(), ["command.succeeded"]);
  assert.equal(command.reads, 0);
});

test("where tests may not be told no output is read", async () => {
  const desk = new Desk();
  desk.settings.set("tests", false);
  desk.report();
  const command = new Command("pytest");
  await run(desk, command, RED, 1);
  assert.deepEqual(desk.types(), ["command.failed"]);
  assert.equal(command.reads, 0);
  desk.settings.set("commands", false);
  desk.set("tests", true);
  await run(desk, new Command("pytest"), RED, 1);
  assert.deepEqual(desk.types(), ["test.run", "test.failed", "test.failed", "test.failed"]);
});

test("a watcher's runs are told when it has been quiet for three seconds, and its end is nothing new", async () => {
  const desk = new Desk();
  desk.report();
  const command = new Command("npx vitest");
  const red = readFileSync("tests/fixtures/runs/recorded/vitest-many.txt", "utf8");
  const green = readFileSync("tests/fixtures/runs/recorded/vitest-green.txt", "utf8");
  desk.started.say(command.execution);
  command.write(red.slice(0, 2000));
  await desk.time.pass(5000);
  assert.deepEqual(desk.types(), [], "it is not through");
  command.write(red.slice(2000));
  await desk.time.pass(2999);
  assert.deepEqual(desk.types(), []);
  await desk.time.pass(1);
  assert.deepEqual(desk.types(), ["test.run", "test.passed", "test.failed", "test.failed"]);
  command.write(green);
  await desk.time.pass(3000);
  assert.deepEqual(desk.types(), ["test.run", "test.passed", "test.passed", "test.passed"]);
  command.close();
  desk.ended.say({ execution: command.execution, exitCode: 130 });
  await desk.time.pass(0);
  assert.deepEqual(desk.types(), []);
});

test("a terminal whose output does not end is waited for a second", async () => {
  const desk = new Desk();
  desk.report();
  const command = new Command("pytest");
  desk.started.say(command.execution);
  command.write(RED);
  desk.ended.say({ execution: command.execution, exitCode: 1 });
  await desk.time.pass(999);
  assert.deepEqual(desk.types(), []);
  await desk.time.pass(1);
  assert.deepEqual(desk.types(), ["command.failed"]);
});

test("the editor's own test view is told as a run", () => {
  const desk = new Desk();
  desk.report();
  desk.testView.say([
    { test: "basket > is empty", outcome: "failed", durationMs: 1.4, place: { kind: "file", file: "a.py" } },
    { test: "tests > test_secret.py > counts", outcome: "passed", place: { kind: "secret" } },
    { test: "basket > prices", outcome: "skipped" },
  ]);
  desk.testView.say([]);
  assert.deepEqual(desk.take(), [
    { type: "test.run", runner: "test view", source: "test view", passed: 1, failed: 1, skipped: 1, unnamed: 0 },
    { type: "test.passed", test: "counts", runner: "test view", source: "test view" },
    {
      type: "test.failed",
      test: "basket > is empty",
      file: "a.py",
      runner: "test view",
      source: "test view",
      durationMs: 1,
    },
  ]);
});

test("other extensions tell of tests, and hear what is wrong with what they say", () => {
  const desk = new Desk();
  const reporting = desk.report();
  reporting.testResult({ test: "t1", outcome: "failed", durationMs: 12.3, file: "a.py" });
  reporting.testResult({ test: "t1", outcome: "passed", durationMs: Number.NaN, file: "/home/ann/a.py" });
  reporting.testResult({ test: "t1", outcome: "skipped" });
  desk.settings.set("secret", ["private/**"]);
  for (const file of ["tests/test_password.py", "../b/t.py", "private\\t.py"]) {
    reporting.testResult({ test: `${file}::t2`, outcome: "failed", file });
  }
  assert.deepEqual(desk.take(), [
    { type: "test.failed", test: "t1", file: "a.py", source: "extension", durationMs: 12 },
    { type: "test.passed", test: "t1", source: "extension" },
    ...Array.from({ length: 3 }, () => ({ type: "test.failed", test: "t2", source: "extension" })),
  ]);
  assert.throws(() => reporting.testResult({ test: "", outcome: "passed" }), /expected the name of the test in test/);
  assert.throws(
    () => reporting.testResult({ test: "t", outcome: "green" as "passed" }),
    /expected passed, failed or skipped in outcome, got "green"/,
  );
  desk.set("enabled", false);
  reporting.testResult({ test: "t1", outcome: "failed" });
  assert.deepEqual(desk.take(), []);
});
