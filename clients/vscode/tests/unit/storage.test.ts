/** What a window keeps, on a real disk. */

import assert from "node:assert/strict";
import { readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { CHARACTERS_MAX, FileStorage, VALUES_MAX } from "../../src/storage.js";
import { folderFor } from "./folder.js";

const files = (folder: string): readonly string[] => readdirSync(folder).sort();

test("what was put in is there after a restart, and what was taken out is not", (t) => {
  const folder = folderFor(t);
  const first = new FileStorage(folder);
  first.setItem("a", "1");
  first.setItem("b", "ö😀\n");
  first.setItem("a", "2");
  first.close();
  const second = new FileStorage(folder);
  assert.deepEqual(
    ["a", "b", "c"].map((key) => second.getItem(key)),
    ["2", "ö😀\n", null],
  );
  second.removeItem("a");
  second.removeItem("c");
  second.close();
  assert.equal(new FileStorage(folder).getItem("a"), null);
  assert.equal(files(folder).length, 1);
});

test("nobody has to ask for it to be written", async (t) => {
  const folder = folderFor(t);
  const storage = new FileStorage(folder);
  storage.setItem("a", "1");
  assert.deepEqual(files(folder), []);
  const deadline = Date.now() + 10_000;
  while (files(folder).length === 0 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(new FileStorage(folder).getItem("a"), "1");
});

test("while nothing gets through each change is on the disk at once, and what was about to be written as well", (t) => {
  const folder = folderFor(t);
  const storage = new FileStorage(folder);
  const kept = (): readonly (string | null)[] => ["a", "b"].map((key) => new FileStorage(folder).getItem(key));
  storage.setItem("a", "1");
  assert.deepEqual(kept(), [null, null]);
  storage.hurry(true);
  assert.deepEqual(kept(), ["1", null]);
  storage.setItem("b", "2");
  storage.removeItem("a");
  assert.deepEqual(kept(), [null, "2"]);
  storage.hurry(false);
  storage.setItem("a", "3");
  assert.deepEqual(kept(), [null, "2"]);
  storage.abandon();
  storage.hurry(true);
  storage.setItem("b", "4");
  assert.deepEqual(kept(), [null, "2"]);
});

test("what comes and goes between two writes costs none", (t) => {
  const folder = folderFor(t);
  const storage = new FileStorage(folder);
  storage.setItem("a", "1");
  storage.removeItem("a");
  storage.close();
  assert.deepEqual(files(folder), []);
});

test("what is as it was costs none either", (t) => {
  const folder = folderFor(t);
  const storage = new FileStorage(folder);
  storage.setItem("a", "1");
  storage.flush();
  rmSync(join(folder, files(folder)[0] ?? ""));
  storage.setItem("a", "1");
  storage.close();
  assert.deepEqual(files(folder), []);
});

test("keys may be anything, also what would be a path", (t) => {
  const folder = folderFor(t);
  const keys = ["../../x", "a/b", "x".repeat(5000), "", "proactive:said:ann"];
  const storage = new FileStorage(folder);
  for (const key of keys) storage.setItem(key, key);
  storage.close();
  for (const name of files(folder)) assert.match(name, /^[0-9a-f]{32}\.json$/);
  const again = new FileStorage(folder);
  for (const key of keys) assert.equal(again.getItem(key), key);
});

test("a window that is closed writes nothing any more, for the folder may be another's", (t) => {
  const folder = folderFor(t);
  const storage = new FileStorage(folder);
  storage.setItem("a", "1");
  storage.close();
  storage.setItem("a", "2");
  storage.close();
  assert.equal(new FileStorage(folder).getItem("a"), "1");
});

test("a window that has lost its place leaves there what it had written, and nothing more", (t) => {
  const folder = folderFor(t);
  const storage = new FileStorage(folder);
  storage.setItem("a", "1");
  storage.flush();
  storage.setItem("a", "2");
  storage.abandon();
  storage.close();
  assert.equal(new FileStorage(folder).getItem("a"), "1");
});

test("there is room for so many characters and no more; what was there stays", (t) => {
  const storage = new FileStorage(folderFor(t));
  storage.setItem("a", "x".repeat(CHARACTERS_MAX));
  assert.throws(() => storage.setItem("b", "x"), /expected at most/);
  assert.throws(() => storage.setItem("a", "x".repeat(CHARACTERS_MAX + 1)), /expected at most/);
  assert.equal(storage.getItem("a")?.length, CHARACTERS_MAX);
  storage.setItem("a", "x".repeat(CHARACTERS_MAX - 1));
  storage.setItem("b", "x");
  assert.equal(storage.getItem("b"), "x");
});

test("what was kept before counts as well", (t) => {
  const folder = folderFor(t);
  const first = new FileStorage(folder);
  first.setItem("a", "x");
  first.close();
  const second = new FileStorage(folder);
  assert.throws(() => second.setItem("b", "x".repeat(CHARACTERS_MAX)), /expected at most/);
});

test("there is room for so many values and no more", () => {
  const storage = new FileStorage(undefined);
  for (let number = 0; number < VALUES_MAX; number++) storage.setItem(`${number}`, "");
  assert.throws(() => storage.setItem("one more", ""), /expected at most/);
  storage.removeItem("0");
  storage.setItem("one more", "");
});

test("a crash in the middle of a write, and files of others, cost nothing else", (t) => {
  const folder = folderFor(t);
  const storage = new FileStorage(folder);
  storage.setItem("a", "1");
  storage.close();
  for (const [name, text] of [
    ["half.json.part", '{"key": "a", "va'],
    ["half.json", '{"key": "a", "va'],
    ["null.json", "null"],
    ["number.json", '{"key": 1, "value": 2}'],
    ["lock", "x"],
  ] as const) {
    writeFileSync(join(folder, name), text);
  }
  assert.equal(new FileStorage(folder).getItem("a"), "1");
  assert.ok(!files(folder).includes("half.json.part"));
  assert.ok(files(folder).includes("lock"));
});

test("a folder that was cleaned away is made again", (t) => {
  const folder = join(folderFor(t), "deep");
  const storage = new FileStorage(folder);
  storage.setItem("a", "1");
  storage.flush();
  rmSync(folder, { recursive: true });
  storage.setItem("b", "2");
  storage.close();
  assert.equal(new FileStorage(folder).getItem("b"), "2");
});

test("a disk that fails is told once, and all is written when it works again", (t) => {
  const folder = join(folderFor(t), "sub");
  const troubles: unknown[] = [];
  const storage = new FileStorage(folder, (cause) => troubles.push(cause));
  writeFileSync(folder, "in the way");
  storage.setItem("a", "1");
  storage.flush();
  storage.setItem("b", "2");
  storage.flush();
  assert.equal(troubles.length, 1);
  assert.equal(storage.getItem("a"), "1");
  rmSync(folder);
  storage.flush();
  assert.deepEqual([new FileStorage(folder).getItem("a"), new FileStorage(folder).getItem("b")], ["1", "2"]);
  rmSync(folder, { recursive: true });
  writeFileSync(folder, "in the way again");
  storage.setItem("c", "3");
  storage.flush();
  assert.equal(troubles.length, 2);
  rmSync(folder);
  storage.setItem("a", "4");
  storage.close();
  assert.deepEqual([new FileStorage(folder).getItem("a"), new FileStorage(folder).getItem("c")], ["4", "3"]);
});

test("to clear it takes everything, also from the disk", (t) => {
  const folder = folderFor(t);
  const storage = new FileStorage(folder);
  storage.setItem("a", "said");
  storage.flush();
  storage.setItem("b", "said");
  storage.clear();
  assert.deepEqual(files(folder), []);
  storage.setItem("b", "x".repeat(CHARACTERS_MAX));
  storage.close();
});

test("others cannot read what is kept", { skip: process.platform === "win32" }, (t) => {
  const folder = join(folderFor(t), "new");
  const storage = new FileStorage(folder);
  storage.setItem("a", "said");
  storage.close();
  for (const path of [folder, ...files(folder).map((name) => join(folder, name))]) {
    assert.equal(statSync(path).mode & 0o077, 0);
  }
});
