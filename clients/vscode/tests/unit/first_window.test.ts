/** One toast for all windows. */

import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { FILES_MAX, FirstWindow, KEPT_MS } from "../../src/first_window.js";
import { folderFor } from "./folder.js";

test("what one window has shown no other shows, and not the same one again", (context) => {
  const folder = folderFor(context);
  const [one, other] = [new FirstWindow(folder), new FirstWindow(folder)];
  assert.equal(one.take("m1"), true);
  assert.equal(other.take("m1"), false);
  assert.equal(one.take("m1"), false);
  assert.equal(other.take("m2"), true);
});

test("an id may be anything, and stands nowhere", (context) => {
  const folder = join(folderFor(context), "shown");
  for (const id of ["../../up", "", "a".repeat(10_000)]) assert.equal(new FirstWindow(folder).take(id), true);
  const names = readdirSync(folder);
  assert.equal(names.length, 3);
  for (const name of names) {
    assert.match(name, /^[0-9a-f]{64}$/);
    assert.equal(readFileSync(join(folder, name), "utf8"), "");
  }
});

for (const [claim, age, expected] of [
  ["it is remembered for a week", KEPT_MS, false],
  ["and then no more", KEPT_MS + 1000, true],
] as const) {
  test(claim, (context) => {
    const folder = folderFor(context);
    const now = 2_000_000_000_000;
    const window = new FirstWindow(folder, () => now);
    window.take("m1");
    for (const name of readdirSync(folder)) utimesSync(join(folder, name), (now - age) / 1000, (now - age) / 1000);
    assert.equal(window.take("m1"), expected);
  });
}

test("of too many the oldest go", (context) => {
  const folder = folderFor(context);
  mkdirSync(folder, { recursive: true });
  for (let number = 0; number < FILES_MAX; number++) {
    writeFileSync(join(folder, String(number)), "");
    utimesSync(join(folder, String(number)), 1_000_000 + number, 1_000_000 + number);
  }
  new FirstWindow(folder, () => 1_000_600_000).take("m1");
  const names = readdirSync(folder);
  assert.equal(names.length, FILES_MAX);
  assert.ok(!names.includes("0") && names.includes("1"));
});

test("where nothing can be written each is the first", (context) => {
  const file = join(folderFor(context), "file");
  writeFileSync(file, "");
  const window = new FirstWindow(join(file, "shown"));
  assert.deepEqual([window.take("m1"), window.take("m1")], [true, true]);
});
