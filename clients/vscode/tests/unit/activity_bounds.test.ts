/** Permission that comes and goes, and what is forgotten because there is too much of it. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Activity } from "@proactive/client";
import { Outlet, TEXT_MAX } from "../../src/activity/outlet.js";
import { REMEMBERED_MAX } from "../../src/activity/tests.js";
import { Command, Desk, edit, file } from "./activity_editor.js";

const MINUTE = 60_000;
const A = file("src/a.py");
const ERROR = { severity: "error", line: 3, message: "x is not defined" } as const;

async function run(desk: Desk, line: string, output: string, exitCode: number): Promise<void> {
  const command = new Command(line);
  desk.started.say(command.execution);
  command.write(output);
  command.close();
  await desk.time.pass(20);
  desk.ended.say({ execution: command.execution, exitCode });
  await desk.time.pass(0);
}

/** A moment without permission. */
function blink(desk: Desk): void {
  desk.set("enabled", false);
  desk.set("enabled", true);
}

test("what was gathered, seen or remembered before a moment without permission is not told after it", async () => {
  const desk = new Desk();
  desk.report();
  await run(desk, "pytest", "t.py::a FAILED\n=== 1 failed in 1.00s ===\n", 1);
  desk.problemsOf.set(A.key, [ERROR]);
  desk.problems.say([A]);
  desk.edited.say(edit(A));
  for (let number = 0; number < 70; number++) desk.saved.say(A);
  desk.edited.say(edit(A));
  desk.take();
  blink(desk);
  await desk.time.pass(MINUTE);
  desk.deed.say();
  await run(desk, "pytest", ".\n=== 1 passed in 1.00s ===\n", 0);
  desk.saved.say(A);
  assert.deepEqual(desk.types(), ["command.succeeded", "test.run", "file.saved"]);
});

test("idle is counted from permission on", async () => {
  const desk = new Desk();
  desk.report();
  await desk.time.pass(9 * MINUTE);
  desk.window.say({ isFocused: false, isActive: false });
  await desk.time.pass(MINUTE / 2);
  desk.take();
  blink(desk);
  desk.window.say({ isFocused: true, isActive: false });
  await desk.time.pass(10 * MINUTE - 1);
  assert.deepEqual(desk.take(), []);
  await desk.time.pass(1);
  assert.deepEqual(desk.types(), ["user.idle"]);
});

test("who is active again is so once", async () => {
  const desk = new Desk();
  desk.report();
  await desk.time.pass(10 * MINUTE);
  desk.deed.say();
  desk.deed.say();
  assert.deepEqual(desk.types(), ["user.idle", "user.active"]);
});

test("output that was written without permission is not read", async () => {
  const desk = new Desk();
  desk.settings.set("commands", false);
  desk.report();
  const command = new Command("pytest");
  desk.started.say(command.execution);
  desk.set("tests", false);
  command.write("t.py::a FAILED\n=== 1 failed in 1.00s ===\n");
  await desk.time.pass(10);
  desk.set("tests", true);
  command.close();
  desk.ended.say({ execution: command.execution, exitCode: 1 });
  await desk.time.pass(2000);
  assert.deepEqual(desk.take(), []);
});

test("a setting of a reporter is on where it is true alone", () => {
  const desk = new Desk();
  desk.settings.set("files", "no");
  desk.report();
  desk.saved.say(A);
  assert.deepEqual(desk.take(), []);
});

test("at work is who did something within ten seconds", async () => {
  for (const [pause, told] of [
    [8000, ["diagnostic.appeared"]],
    [8001, []],
  ] as const) {
    const desk = new Desk();
    desk.report();
    desk.deed.say();
    await desk.time.pass(pause);
    desk.problemsOf.set(A.key, [ERROR]);
    desk.problems.say([A]);
    await desk.time.pass(2000);
    assert.deepEqual(desk.types(), told, String(pause));
  }
});

test("of a thousand and one open files the first are forgotten", async () => {
  const desk = new Desk();
  desk.report();
  for (let number = 0; number < 1000; number++) {
    if (number % 50 === 0) await desk.time.pass(MINUTE);
    desk.shown.say(file(`f${number}.py`));
  }
  await desk.time.pass(MINUTE);
  desk.take();
  desk.shown.say(file("f0.py"));
  assert.deepEqual(desk.types(), []);
  desk.shown.say(file("one more.py"));
  desk.shown.say(file("f0.py"));
  assert.deepEqual(desk.types(), ["file.opened", "file.opened"]);
});

test("problems of a hundred files are followed", async () => {
  const desk = new Desk();
  desk.report();
  desk.deed.say();
  const files = Array.from({ length: 101 }, (_, number) => file(`f${number}.py`));
  for (const one of files) desk.problemsOf.set(one.key, [ERROR]);
  desk.problems.say(files);
  await desk.time.pass(2000);
  assert.equal(desk.take().length, 60);
  await desk.time.pass(MINUTE);
  desk.deed.say();
  const [omitted] = desk.take();
  assert.deepEqual([omitted?.type, omitted?.["count"]], ["activity.omitted", 40]);
});

test("the oldest failing tests are forgotten when there are too many", async () => {
  const desk = new Desk();
  desk.report();
  await run(desk, "pytest a", "a.py::first FAILED\n=== 1 failed in 1.00s ===\n", 1);
  const many = Array.from({ length: REMEMBERED_MAX }, (_, number) => `b.py::t${number} FAILED\n`).join("");
  await run(desk, "pytest b", `${many}=== ${REMEMBERED_MAX} failed in 1.00s ===\n`, 1);
  desk.take();
  await run(desk, "pytest a", ".\n=== 1 passed in 1.00s ===\n", 0);
  assert.deepEqual(desk.types(), ["command.succeeded", "test.run"]);
});

test("one runner's success says nothing of another's failures", async () => {
  const desk = new Desk();
  desk.report();
  await run(desk, "make check", "a.py::a FAILED\n=== 1 failed in 1.00s ===\n", 1);
  desk.take();
  await run(desk, "make check", "ok  \tshop/sort\t0.003s\n", 0);
  assert.deepEqual(
    desk.take().map((event) => [event.type, event["test"]]),
    [
      ["command.succeeded", undefined],
      ["test.run", undefined],
      ["test.passed", "shop/sort"],
    ],
  );
});

test("a test that is named when it passes is told once", async () => {
  const desk = new Desk();
  desk.report();
  const line = (word: string) => `a.py::a ${word}\n=== 1 ${word.toLowerCase()} in 1.00s ===\n`;
  await run(desk, "pytest", line("FAILED"), 1);
  desk.take();
  await run(desk, "pytest", line("PASSED"), 0);
  assert.deepEqual(
    desk
      .take()
      .slice(2)
      .map((event) => [event.type, event["inferred"]]),
    [["test.passed", undefined]],
  );
});

test("a terminal of a task stays one, and what looks like a task's banner is a command where the shell says so", async () => {
  const desk = new Desk();
  desk.report();
  const terminal = {};
  const its = { key: {}, name: "unit", isTest: true, isBackground: false };
  desk.taskStarted.say(its);
  const first = new Command("pytest", ["unit"], terminal);
  desk.started.say(first.execution);
  first.close();
  desk.taskEnded.say({ task: its, exitCode: 0 });
  desk.ended.say({ execution: first.execution, exitCode: 0 });
  await desk.time.pass(1000);
  desk.take();
  const second = new Command("pytest", ["unit"], terminal);
  desk.started.say(second.execution);
  second.close();
  desk.ended.say({ execution: second.execution, exitCode: 0 });
  await desk.time.pass(1000);
  assert.deepEqual(desk.types(), [], "the task has not said that it ended");
  await run(desk, " * all", "", 1);
  assert.deepEqual(desk.types(), ["command.failed"]);
});

test("no text that is told is longer than its bound", () => {
  const told: Activity[] = [];
  const clock = { now: () => 0, after: () => () => undefined };
  const outlet = new Outlet(
    clock,
    () => true,
    (event) => told.push(event),
  );
  outlet.tell("tasks", "task.finished", { task: "x".repeat(TEXT_MAX + 1), exitCode: undefined });
  assert.deepEqual(told, [{ type: "task.finished", task: "x".repeat(TEXT_MAX) }]);
});
