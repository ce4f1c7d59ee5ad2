/** Tasks, and the runs of tests in what they write. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Command, Desk } from "./activity_editor.js";
import { GREEN, RED, run, task } from "./activity_recorded.js";

for (const isBackground of [false, true]) {
  test(`a task is ${isBackground ? "" : "not "}taken for a watcher where it ${isBackground ? "runs" : "does not run"} in the background`, async () => {
    const desk = new Desk();
    desk.report();
    const its = { ...task("unit"), isBackground };
    const command = new Command("pytest -q", ["unit"]);
    desk.taskStarted.say(its);
    desk.started.say(command.execution);
    command.write(RED);
    await desk.time.pass(10_000);
    const early = ["test.run", "test.failed", "test.failed", "test.failed"];
    assert.deepEqual(desk.types(), isBackground ? early : []);
    command.close();
    desk.taskEnded.say({ task: its, exitCode: 1 });
    desk.ended.say({ execution: command.execution, exitCode: 1 });
    await desk.time.pass(0);
    assert.deepEqual(desk.types(), isBackground ? ["task.finished"] : ["task.finished", ...early]);
  });
}

for (const order of ["the task ends first", "its output ends first"]) {
  test(`a test task is told with what its tests came to, where ${order}`, async () => {
    const desk = new Desk();
    desk.report();
    const its = task("unit");
    const command = new Command("pytest -q", ["unit"]);
    desk.taskStarted.say(its);
    desk.started.say(command.execution);
    command.write(RED);
    await desk.time.pass(50);
    const ends = [
      () => desk.taskEnded.say({ task: its, exitCode: 1 }),
      () => {
        command.close();
        desk.ended.say({ execution: command.execution, exitCode: 1 });
      },
    ];
    for (const end of order.startsWith("the task") ? ends : ends.reverse()) {
      end();
      await desk.time.pass(20);
    }
    const [finished, totals, ...tests] = desk.take();
    assert.equal(finished?.type, "task.finished");
    assert.deepEqual([finished?.["task"], finished?.["group"], finished?.["exitCode"]], ["unit", "test", 1]);
    assert.deepEqual([totals?.["runner"], totals?.["source"], totals?.["failed"]], ["pytest", "task", 3]);
    assert.equal(tests.length, 3);
    await desk.time.pass(60_000);
    assert.deepEqual(desk.types(), [], "neither is told again, and no command is");
  });
}

test("a terminal that an earlier task had belongs to tasks, also before the next one says that it begins", async () => {
  const desk = new Desk();
  desk.report();
  const first = task("unit");
  const terminal = {};
  desk.taskStarted.say(first);
  await run(desk, new Command("pytest -q", ["unit"], terminal), GREEN, 0);
  desk.taskEnded.say({ task: first, exitCode: 0 });
  await desk.time.pass(2000);
  assert.deepEqual(desk.types(), ["task.finished", "test.run"]);

  const second = task("other");
  const command = new Command(" *  Executing task: pytest", ["unit"], terminal, false);
  desk.started.say(command.execution);
  desk.taskStarted.say(second);
  command.names = ["other", "unit"];
  command.write(RED);
  command.close();
  desk.taskEnded.say({ task: second, exitCode: 1 });
  await desk.time.pass(200);
  desk.ended.say({ execution: command.execution, exitCode: 1 });
  await desk.time.pass(0);
  assert.deepEqual(desk.types(), ["task.finished", "test.run", "test.failed", "test.failed", "test.failed"]);
});

test("a test task whose output nobody shows is a run by its exit code alone", async () => {
  const desk = new Desk();
  desk.report();
  const its = task("unit");
  desk.taskStarted.say(its);
  await desk.time.pass(3000);
  desk.taskEnded.say({ task: its, exitCode: 1 });
  await desk.time.pass(999);
  assert.deepEqual(desk.take(), []);
  await desk.time.pass(1);
  assert.deepEqual(desk.take(), [
    { type: "task.finished", task: "unit", group: "test", exitCode: 1, durationMs: 3000 },
    { type: "test.run", source: "task", exitCode: 1 },
  ]);
});

test("a build is no run of tests", async () => {
  const desk = new Desk();
  desk.report();
  const its = task("compile", false);
  desk.taskStarted.say(its);
  desk.taskEnded.say({ task: its, exitCode: undefined });
  await desk.time.pass(1000);
  assert.deepEqual(desk.take(), [{ type: "task.finished", task: "compile", group: "build", durationMs: 0 }]);
});

test("a task that is called by its command line tells its program, and is known by the whole name", async () => {
  const desk = new Desk();
  desk.report();
  const line = "pytest -q --token abc";
  const its = { ...task(line), command: [line] };
  desk.taskStarted.say(its);
  await run(desk, new Command(line, [line]), RED, 1);
  desk.taskEnded.say({ task: its, exitCode: 1 });
  const told = desk.take();
  assert.equal(told[0]?.["task"], "pytest");
  assert.equal(told.length, 5);
  assert.ok(!JSON.stringify(told).includes("abc"));
});

test("output of a task that never says that it ended is given up", async () => {
  const desk = new Desk();
  desk.report();
  await run(desk, new Command(" *  Executing task: pytest", ["x"], {}, false), RED, 1);
  await desk.time.pass(1000);
  const its = task("x");
  desk.taskStarted.say(its);
  desk.taskEnded.say({ task: its, exitCode: 1 });
  await desk.time.pass(1000);
  assert.deepEqual(desk.types(), ["task.finished", "test.run"]);
});
