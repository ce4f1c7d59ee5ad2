/** Idle, focus, and problems that wait for somebody to be there. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Problem } from "../../src/activity/editor.js";
import { Desk, edit, file } from "./activity_editor.js";

const MINUTE = 60_000;
const A = file("src/a.py");
const ERROR: Problem = {
  severity: "error",
  line: 3,
  source: "Pylance",
  code: "reportUndefined",
  message: "x is not defined",
};

function found(desk: Desk, ...problems: readonly Problem[]): void {
  desk.problemsOf.set(A.key, problems);
  desk.problems.say([A]);
}

test("who does nothing for ten minutes is idle, once, and active again with the next thing", async () => {
  const desk = new Desk();
  desk.report();
  desk.deed.say();
  await desk.time.pass(10 * MINUTE - 1);
  assert.deepEqual(desk.take(), []);
  await desk.time.pass(1);
  assert.deepEqual(desk.take(), [{ type: "user.idle", minutes: 10 }]);
  await desk.time.pass(50 * MINUTE);
  assert.deepEqual(desk.take(), []);
  desk.saved.say(A);
  assert.deepEqual(desk.take().slice(0, 1), [{ type: "user.active", minutes: 60 }]);
});

test("every deed begins the ten minutes anew, and so does scrolling", async () => {
  const desk = new Desk();
  desk.report();
  await desk.time.pass(9 * MINUTE);
  desk.deed.say();
  desk.isActive = true;
  await desk.time.pass(10 * MINUTE);
  assert.deepEqual(desk.take(), [], "the window is in use");
  desk.isActive = false;
  desk.window.say({ isFocused: true, isActive: false });
  await desk.time.pass(10 * MINUTE - 1);
  assert.deepEqual(desk.take(), []);
  await desk.time.pass(1);
  assert.deepEqual(desk.types(), ["user.idle"]);
});

test("how long is a setting, held to what makes sense", async () => {
  for (const [wanted, minutes] of [
    [3, 3],
    [0, 10],
    [-5, 1],
    [100_000, 240],
    ["x", 10],
  ] as const) {
    const desk = new Desk();
    desk.settings.set("idleMinutes", wanted);
    desk.report();
    await desk.time.pass(minutes * MINUTE - 1);
    assert.deepEqual(desk.take(), [], String(wanted));
    await desk.time.pass(1);
    assert.deepEqual(desk.take(), [{ type: "user.idle", minutes }], String(wanted));
  }
});

test("the window's focus is told when it was away for five seconds", async () => {
  const desk = new Desk();
  desk.report();
  const focus = (isFocused: boolean) => desk.window.say({ isFocused, isActive: isFocused });
  focus(false);
  await desk.time.pass(4999);
  focus(true);
  await desk.time.pass(MINUTE);
  assert.deepEqual(desk.take(), []);
  focus(false);
  await desk.time.pass(5000);
  assert.deepEqual(desk.take(), [{ type: "window.blurred" }]);
  desk.window.say({ isFocused: false, isActive: false });
  await desk.time.pass(55_000);
  focus(true);
  focus(true);
  assert.deepEqual(desk.take(), [{ type: "window.focused", seconds: 60 }]);
});

test("a problem appears when it has been there for two seconds, persists after thirty, and goes", async () => {
  const desk = new Desk();
  desk.report();
  desk.deed.say();
  found(desk, ERROR);
  await desk.time.pass(1999);
  assert.deepEqual(desk.take(), []);
  await desk.time.pass(1);
  const told = {
    file: "src/a.py",
    language: "python",
    severity: "error",
    source: "Pylance",
    code: "reportUndefined",
    line: 3,
  };
  assert.deepEqual(desk.take(), [{ type: "diagnostic.appeared", ...told }]);
  await desk.time.pass(27_999);
  desk.deed.say();
  assert.deepEqual(desk.take(), []);
  await desk.time.pass(1);
  assert.deepEqual(desk.take(), [{ type: "diagnostic.persisted", ...told, seconds: 30 }]);
  found(desk, { ...ERROR, line: 5 });
  assert.deepEqual(desk.take(), [], "it is the same on another line");
  await desk.time.pass(5000);
  found(desk);
  assert.deepEqual(desk.take(), [{ type: "diagnostic.cleared", ...told, line: 5, seconds: 35 }]);
});

test("what is gone within two seconds never was", async () => {
  const desk = new Desk();
  desk.report();
  desk.deed.say();
  found(desk, ERROR);
  await desk.time.pass(1500);
  found(desk);
  await desk.time.pass(MINUTE);
  assert.deepEqual(desk.take(), []);
});

test("what comes back while its going waits to be told is still there", async () => {
  const desk = new Desk();
  desk.report();
  desk.deed.say();
  found(desk, ERROR);
  await desk.time.pass(3000);
  desk.take();
  await desk.time.pass(MINUTE);
  found(desk);
  found(desk, ERROR);
  desk.deed.say();
  assert.deepEqual(desk.types(), ["diagnostic.persisted"]);
});

test("silence stays silence: what a language server says to nobody waits for the next deed", async () => {
  const desk = new Desk();
  desk.report();
  desk.deed.say();
  found(desk, ERROR);
  await desk.time.pass(2000);
  assert.deepEqual(desk.types(), ["diagnostic.appeared"]);
  await desk.time.pass(5 * MINUTE);
  found(desk, ERROR, { ...ERROR, code: "other" });
  await desk.time.pass(MINUTE);
  assert.deepEqual(desk.take(), []);
  desk.deed.say();
  assert.deepEqual(desk.types(), ["diagnostic.persisted", "diagnostic.appeared", "diagnostic.persisted"]);
});

test("after a failing test problems wait until something else is told", async () => {
  const desk = new Desk();
  const reporting = desk.report();
  found(desk, ERROR);
  reporting.testResult({ test: "test_sort", outcome: "failed" });
  await desk.time.pass(3000);
  desk.deed.say();
  assert.deepEqual(desk.types(), ["test.failed"]);
  desk.edited.say(edit(A));
  await desk.time.pass(5000);
  assert.deepEqual(desk.types(), ["file.edited", "diagnostic.appeared"]);
});

test("the same problem on many lines is one; of one file twenty are followed", async () => {
  const desk = new Desk();
  desk.report();
  desk.deed.say();
  found(desk, ERROR, { ...ERROR, line: 9 });
  await desk.time.pass(2000);
  assert.deepEqual(desk.types(), ["diagnostic.appeared"]);
  found(desk, ...Array.from({ length: 30 }, (_, number) => ({ ...ERROR, code: `c${number}` })));
  await desk.time.pass(2000);
  desk.deed.say();
  const types = desk.types();
  assert.equal(types.filter((type) => type === "diagnostic.appeared").length, 19, "one of the twenty was the first");
  assert.equal(types.filter((type) => type === "diagnostic.cleared").length, 1);
});

test("the text of a problem is told where it is wished, and of no secret file", async () => {
  const desk = new Desk();
  desk.settings.set("includeText", true);
  desk.report();
  desk.deed.say();
  found(desk, { severity: "warning", line: 1, message: "m".repeat(900) });
  const secret = file(".env", { kind: "secret" });
  desk.problemsOf.set(secret.key, [ERROR]);
  desk.problems.say([secret]);
  await desk.time.pass(2000);
  assert.deepEqual(desk.take(), [
    {
      type: "diagnostic.appeared",
      file: "src/a.py",
      language: "python",
      severity: "warning",
      line: 1,
      message: "m".repeat(500),
    },
    {
      type: "diagnostic.appeared",
      kind: "secret",
      language: "python",
      severity: "error",
      source: "Pylance",
      code: "reportUndefined",
    },
  ]);
});

test("a closed file's problems are forgotten, and so is what was seen without permission", async () => {
  const desk = new Desk();
  desk.report();
  desk.deed.say();
  found(desk, ERROR);
  await desk.time.pass(2000);
  desk.take();
  desk.closed.say(A);
  found(desk);
  assert.deepEqual(desk.types(), []);
  desk.set("diagnostics", false);
  found(desk, ERROR);
  desk.set("diagnostics", true);
  await desk.time.pass(MINUTE);
  desk.deed.say();
  assert.deepEqual(desk.types(), []);
});
