/** Files, who may hear of them, and how often. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Typed } from "../../src/activity/typed.js";
import { Desk, edit, file } from "./activity_editor.js";

const A = file("src/a.py");
const B = file("src/b.py");

test("a file is opened when it is looked at, once until it is closed", () => {
  const desk = new Desk();
  desk.report();
  desk.shown.say(A);
  desk.shown.say(B);
  desk.shown.say(A);
  assert.deepEqual(desk.take(), [
    { type: "file.opened", file: "src/a.py", language: "python", lines: 10 },
    { type: "file.opened", file: "src/b.py", language: "python", lines: 10 },
  ]);
  desk.closed.say(A);
  desk.shown.say(A);
  assert.deepEqual(desk.types(), ["file.opened"]);
});

test("what is looked at when it begins was not opened now", () => {
  const desk = new Desk();
  desk.shownNow = A;
  desk.report();
  desk.shown.say(A);
  assert.deepEqual(desk.types(), []);
});

test("edits are gathered for five seconds by file, and not their text", async () => {
  const desk = new Desk();
  desk.report();
  desk.edited.say(edit(A, "abc", 3));
  await desk.time.pass(4000);
  desk.edited.say(edit(A, "d", 4, 2));
  desk.edited.say(edit(B));
  await desk.time.pass(999);
  assert.deepEqual(desk.take(), []);
  await desk.time.pass(1);
  assert.deepEqual(desk.take(), [
    { type: "file.edited", file: "src/a.py", language: "python", edits: 2, added: 4, removed: 2, line: 4 },
    { type: "file.edited", file: "src/b.py", language: "python", edits: 1, added: 1, removed: 0, line: 1 },
  ]);
  await desk.time.pass(60_000);
  assert.deepEqual(desk.take(), []);
});

test("what was gathered comes before what it led to", () => {
  const desk = new Desk();
  desk.report();
  desk.edited.say(edit(A));
  desk.saved.say(A);
  assert.deepEqual(
    desk.take().map(({ type }) => type),
    ["file.edited", "file.saved"],
  );
});

test("text is told where it is wished, to a bound, and of no other file", async () => {
  const desk = new Desk();
  desk.settings.set("includeText", true);
  desk.report();
  desk.edited.say(edit(A, "x".repeat(1999)));
  desk.edited.say(edit(A, "yz"));
  desk.edited.say(edit(file(".env", { kind: "secret" }), "TOKEN=1"));
  desk.edited.say(edit(file("note", { kind: "untitled" }), "dear diary"));
  desk.edited.say(edit(file("far", { kind: "outside" }), "far"));
  await desk.time.pass(5000);
  const told = desk.take();
  assert.equal(told[0]?.["text"], `${"x".repeat(1998)}yz`);
  assert.deepEqual(told.slice(1), [
    { type: "file.edited", kind: "secret", language: "python", edits: 1, added: 7, removed: 0 },
    { type: "file.edited", kind: "untitled", language: "python", edits: 1, added: 10, removed: 0 },
    { type: "file.edited", kind: "outside", language: "python", edits: 1, added: 3, removed: 0 },
  ]);
});

test("text that was gathered is not told when it is not wished any more, nor when it is again; that there were edits is", async () => {
  const desk = new Desk();
  desk.settings.set("includeText", true);
  desk.report();
  desk.edited.say(edit(A, "abc"));
  desk.set("includeText", false);
  desk.set("includeText", true);
  desk.edited.say(edit(A, "d"));
  desk.edited.say(edit(B, "efg"));
  desk.settings.set("includeText", false); // before anybody hears of it
  desk.debugStarted.say({ key: "1", type: "python" });
  const [first, second] = desk.take();
  assert.deepEqual([first?.["edits"], first?.["added"], first?.["text"]], [2, 4, undefined]);
  assert.deepEqual([second?.["edits"], second?.["added"], second?.["text"]], [1, 3, undefined]);
  desk.set("includeText", true);
  desk.edited.say(edit(A, "abc"));
  desk.set("includeText", false);
  desk.set("includeText", true);
  desk.edited.say(edit(A, "d"));
  await desk.time.pass(5000);
  assert.equal(desk.take()[0]?.["text"], "d");
});

test("what was gathered is not told when another set of names is secret", async () => {
  const desk = new Desk();
  desk.report();
  desk.edited.say(edit(A));
  desk.problemsOf.set(A.key, [{ severity: "error", line: 1, message: "x" }]);
  desk.problems.say([A]);
  desk.set("secret", ["src/**"]);
  await desk.time.pass(5000);
  desk.debugStarted.say({ key: "1", type: "python" });
  assert.deepEqual(desk.types(), ["debug.started"]);
  desk.edited.say(edit(B));
  desk.set("idleMinutes", 5);
  await desk.time.pass(5000);
  assert.deepEqual(desk.types(), ["file.edited"], "another setting drops nothing");
});

test("of a secret file nothing is told but that there is one", () => {
  const desk = new Desk();
  desk.report();
  const secret = file(".env", { kind: "secret" });
  desk.shown.say(secret);
  desk.saved.say(secret);
  assert.deepEqual(desk.take(), [
    { type: "file.opened", kind: "secret", language: "python" },
    { type: "file.saved", kind: "secret", language: "python" },
  ]);
});

test("edits of more files than are gathered are told earlier, not lost", async () => {
  const desk = new Desk();
  desk.report();
  for (let number = 0; number < 51; number++) desk.edited.say(edit(file(`f${number}.py`)));
  assert.equal(desk.take().length, 50);
  await desk.time.pass(5000);
  assert.equal(desk.take().length, 1);
});

test("sixty a minute are told; how many were left out is told as one, with the next", async () => {
  const desk = new Desk();
  desk.report();
  for (let number = 0; number < 60; number++) desk.saved.say(A);
  assert.equal(desk.take().length, 60);
  desk.saved.say(A);
  desk.saved.say(B);
  desk.shown.say(B);
  await desk.time.pass(59_999);
  desk.saved.say(A);
  assert.deepEqual(desk.take(), []);
  await desk.time.pass(1);
  assert.deepEqual(desk.take(), [], "nobody has done anything");
  desk.saved.say(A);
  assert.deepEqual(desk.take().slice(0, 2), [
    { type: "activity.omitted", reporter: "files", count: 4, types: { "file.saved": 3, "file.opened": 1 } },
    { type: "file.saved", file: "src/a.py", language: "python", lines: 10, characters: 200 },
  ]);
});

test("a reporter's bound is no other's", () => {
  const desk = new Desk();
  desk.report();
  for (let number = 0; number < 70; number++) desk.saved.say(A);
  desk.take();
  desk.debugStarted.say({ key: "1", type: "python" });
  assert.deepEqual(desk.types(), ["debug.started"]);
});

for (const [name, forbid] of [
  ["the editor's telemetry setting", (desk: Desk) => ((desk.isTelemetryEnabled = false), desk.telemetry.say())],
  ["our own setting", (desk: Desk) => desk.set("enabled", false)],
  ["the reporter's setting", (desk: Desk) => desk.set("files", false)],
] as const) {
  test(`nothing is told where ${name} says no, and what was gathered is not told later`, async () => {
    const desk = new Desk();
    desk.report();
    desk.edited.say(edit(A));
    forbid(desk);
    desk.saved.say(A);
    desk.shown.say(B);
    desk.edited.say(edit(A));
    await desk.time.pass(60_000);
    desk.isTelemetryEnabled = true;
    desk.telemetry.say();
    desk.set("enabled", true);
    desk.set("files", true);
    await desk.time.pass(60_000);
    assert.deepEqual(desk.types(), []);
    desk.saved.say(A);
    assert.deepEqual(desk.types(), ["file.saved"]);
  });
}

test("nothing is told before it is allowed: that is what is set where nothing is", () => {
  const desk = new Desk();
  desk.settings.clear();
  desk.report();
  desk.saved.say(A);
  assert.deepEqual(desk.types(), []);
  assert.deepEqual(desk.lines, ["No activity is reported"]);
  desk.set("enabled", "yes");
  desk.saved.say(A);
  assert.deepEqual(desk.types(), [], "only true is yes");
  desk.set("enabled", true);
  desk.set("focus", false);
  assert.deepEqual(desk.lines.slice(1), [
    "Activity is reported: files, diagnostics, tests, commands, tasks, debugging, idle, focus",
    "Activity is reported: files, diagnostics, tests, commands, tasks, debugging, idle",
  ]);
  desk.set("focus", false);
  assert.equal(desk.lines.length, 3, "one line for each change");
});

test("after it is disposed of nothing is told, listened to or waited for", async () => {
  const desk = new Desk();
  const reporting = desk.report();
  assert.ok(desk.listeners > 10);
  desk.edited.say(edit(A));
  reporting.dispose();
  assert.equal(desk.listeners, 0);
  await desk.time.pass(3_600_000);
  assert.deepEqual(desk.types(), []);
});

test("a debug session has its kind and its length", async () => {
  const desk = new Desk();
  desk.report();
  desk.debugStarted.say({ key: "1", type: "python" });
  await desk.time.pass(1500);
  desk.debugStopped.say({ key: "1", type: "python" });
  desk.debugStopped.say({ key: "of before", type: "node" });
  assert.deepEqual(desk.take(), [
    { type: "debug.started", debugger: "python" },
    { type: "debug.stopped", debugger: "python", durationMs: 1500 },
    { type: "debug.stopped", debugger: "node" },
  ]);
});

test("an edit is what makes a document dirty, or is saved; a file that is read anew is none", () => {
  const typed = new Typed();
  const one = edit(A, "1");
  const two = edit(A, "2");
  // The first change after a save: it is dirty in the next moment.
  assert.deepEqual(typed.changed(A.key, one, false), []);
  assert.deepEqual(typed.changed(A.key, undefined, true), [one]);
  assert.deepEqual(typed.changed(A.key, two, true), [two]);
  // Saved before anything else was said.
  assert.deepEqual(typed.changed(A.key, one, false), []);
  assert.deepEqual(typed.saved(A.key), [one]);
  assert.deepEqual(typed.saved(A.key), []);
  // Read anew twice, then edited.
  assert.deepEqual(typed.changed(A.key, one, false), []);
  assert.deepEqual(typed.changed(A.key, undefined, false), []);
  assert.deepEqual(typed.changed(A.key, undefined, true), [], "it has been said that it was none");
  assert.deepEqual(typed.changed(A.key, two, false), []);
  assert.deepEqual(typed.changed(A.key, undefined, true), [two]);
  // Of many documents at once the oldest is given up.
  for (let number = 0; number <= 100; number++) typed.changed(`${number}`, one, false);
  assert.deepEqual([typed.saved("0"), typed.saved("1")], [[], [one]]);
});
