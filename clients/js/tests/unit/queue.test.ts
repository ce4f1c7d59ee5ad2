/** The queue: what goes when it is full, what a storage keeps of it, and what a broken storage costs. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { EventQueue } from "../../src/queue.js";
import { Shelf } from "../../src/storage.js";
import { MemoryStorage } from "../virtual_time.js";

const did = (n: number): { type: string; n: number } => ({ type: "did", n });
const said = (message: string): { type: "chat_message"; message: string } => ({ type: "chat_message", message });
const idsOf = (queue: EventQueue): string[] => [...queue.values()].map(({ id }) => id);

function queueOf(
  storage: MemoryStorage | undefined,
  eventsMax = 3,
  charactersMax = 1000,
  troubles: string[] = [],
): EventQueue {
  return new EventQueue(new Shelf(storage, "q:", (what) => troubles.push(what)), eventsMax, charactersMax);
}

test("a full queue gives up its oldest activity, and never what the user said", () => {
  const queue = queueOf(undefined);
  assert.deepEqual([queue.add("a", said("hi")), queue.add("b", did(1)), queue.add("c", did(2))], [[], [], []]);
  assert.deepEqual(queue.add("d", did(3)), ["b"]);
  assert.deepEqual(queue.add("e", said("there")), ["c"]);
  assert.deepEqual(idsOf(queue), ["a", "d", "e"]);
  assert.deepEqual(queue.add("f", said("you")), ["d"]);
  assert.deepEqual(
    queue.add("g", said("too much")),
    ["g"],
    "nothing but what the user said: the newcomer is not taken",
  );
  assert.deepEqual(idsOf(queue), ["a", "e", "f"]);
});

test("characters are bounded as events are, and one that is larger than all may be costs nobody a place", () => {
  const size = JSON.stringify(did(0)).length;
  const queue = queueOf(undefined, 100, 2 * size);
  assert.deepEqual([queue.add("a", did(0)), queue.add("b", did(1))], [[], []], "at the limit");
  assert.deepEqual(queue.add("c", did(2)), ["a"], "one beyond it");
  assert.deepEqual(queue.add("d", { type: "did", text: "x".repeat(100) }), ["d"]);
  assert.deepEqual(idsOf(queue), ["b", "c"]);
});

test("what waits is there again after a restart, in its order, without what was acknowledged", () => {
  const storage = new MemoryStorage();
  const queue = queueOf(storage, 10);
  for (const id of ["a", "b", "c", "d"]) queue.add(id, did(1), "ann");
  queue.remove("a");
  queue.remove("c");
  const again = queueOf(storage, 10);
  assert.deepEqual(idsOf(again), ["b", "d"]);
  assert.deepEqual(
    [...again.values()].map(({ user, frame }) => [user, frame]),
    [
      ["ann", did(1)],
      ["ann", did(1)],
    ],
  );
  again.add("e", did(2));
  assert.deepEqual(idsOf(queueOf(storage, 10)), ["b", "d", "e"]);
});

test("an emptied queue leaves nothing behind but where it stands", () => {
  const storage = new MemoryStorage();
  const queue = queueOf(storage);
  queue.add("a", did(1));
  queue.remove("a");
  assert.deepEqual([...storage.values], [["q:queue", '{"head":1,"tail":1}']]);
  queue.add("b", did(1));
  queue.clear();
  assert.deepEqual([...storage.values], []);
});

const DAMAGES: readonly (readonly [string, string, string[]])[] = [
  ["q:queue", "not JSON", []],
  ["q:queue", "[1,2]", []],
  ["q:queue", '{"head":-1,"tail":3}', []],
  ["q:queue", '{"head":0,"tail":1e300}', []],
  ["q:queue", '{"head":0,"tail":9007199254740000}', []],
  ["q:e1", "not JSON", ["a", "c"]],
  ["q:e1", "null", ["a", "c"]],
  ["q:e1", '{"id":7,"frame":{"type":"did"}}', ["a", "c"]],
  ["q:e1", '{"id":"b","frame":"did"}', ["a", "c"]],
  ["q:e1", '{"id":"b","frame":{}}', ["a", "c"]],
];
for (const [key, nonsense, left] of DAMAGES) {
  test(`a storage with ${nonsense} as ${key} costs no more than that`, () => {
    const storage = new MemoryStorage();
    const queue = queueOf(storage, 5);
    for (const id of ["a", "b", "c"]) queue.add(id, did(1));
    storage.setItem(key, nonsense);
    const again = queueOf(storage, 5);
    assert.deepEqual(idsOf(again), left);
    again.add("d", did(2));
    assert.deepEqual(idsOf(queueOf(storage, 5)), [...left, "d"]);
  });
}

test("a storage that is full or forbidden is told once, and events wait in memory", () => {
  const troubles: string[] = [];
  const storage = new MemoryStorage();
  storage.setItem = () => {
    throw new Error("QuotaExceededError");
  };
  const queue = queueOf(storage, 5, 1000, troubles);
  queue.add("a", did(1));
  queue.add("b", did(2));
  assert.deepEqual(idsOf(queue), ["a", "b"]);
  assert.deepEqual(troubles, ["write"]);
});
