/** Places of windows, on a real disk and with real processes; the clock alone is the test's. */

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import {
  claimLeftPlace,
  claimPlace,
  emptyFreePlaces,
  isOwnPlaceHeld,
  keptName,
  PLACES_MAX,
  type Place,
} from "../../src/place.js";
import { folderFor } from "./folder.js";

const MINUTE_MS = 60_000;

function claim(root: string, window = "w", now: () => number = Date.now): Place {
  const place = claimPlace(root, window, "s", now);
  assert.ok(place !== undefined);
  return place;
}

/** The number of a process that was there and is gone. */
function goneProcess(): number {
  return spawnSync(process.execPath, ["-e", ""]).pid;
}

/** As if another window had held place 0 and said nothing for so long. */
function leaveLock(root: string, holder: unknown, silentMs = 0): string {
  const lock = join(root, "0", "lock");
  mkdirSync(join(root, "0"), { recursive: true });
  writeFileSync(lock, typeof holder === "string" ? holder : JSON.stringify(holder));
  const moment = new Date(Date.now() - silentMs);
  utimesSync(lock, moment, moment);
  return lock;
}

test("two windows at once have two places, and the first one's is free when it is gone", (t) => {
  const root = folderFor(t);
  const [one, two] = [claim(root, "a"), claim(root, "b")];
  assert.deepEqual([one.number, two.number], [0, 1]);
  one.release();
  assert.equal(claim(root, "c").number, 0);
});

test("a window finds its own place again, whoever begins first after a restart", (t) => {
  const root = folderFor(t);
  const windows = ["a", "b", "c"];
  const before = windows.map((name) => claim(root, name));
  for (const place of before) place.release();
  assert.deepEqual(
    [...windows].reverse().map((name) => claim(root, name).number),
    [2, 1, 0],
  );
});

test("of several places a window finds the one again that it had last", (t) => {
  const root = folderFor(t);
  // Its former process lives on for a while, so that it has a second one.
  const [former, latter] = [claim(root, "a"), claim(root, "a")];
  const earlier = new Date(Date.now() - MINUTE_MS);
  utimesSync(join(former.folder, "window"), earlier, earlier);
  for (const place of [former, latter]) place.release();
  assert.equal(claim(root, "a").number, latter.number);
});

test("whether a former process holds all that a window had", (t) => {
  const root = folderFor(t);
  assert.equal(isOwnPlaceHeld(root, "a"), false);
  const [former, other] = [claim(root, "a"), claim(root, "b")];
  assert.equal(isOwnPlaceHeld(root, "a"), true);
  assert.equal(isOwnPlaceHeld(root, "c"), false);
  const latter = claim(root, "a");
  latter.release();
  assert.equal(isOwnPlaceHeld(root, "a"), false);
  assert.equal(isOwnPlaceHeld(root, "b"), true);
  for (const place of [former, other]) place.release();
});

test("what was left in a place is there for the next window", (t) => {
  const root = folderFor(t);
  const one = claim(root, "a");
  writeFileSync(join(one.folder, "x.json"), "kept");
  one.release();
  assert.equal(readFileSync(join(claim(root, "b").folder, "x.json"), "utf8"), "kept");
});

for (const [claim, holder, silentMs, isTaken] of [
  ["a window that crashed leaves its place", { name: "x", pid: "gone", host: hostname() }, 0, true],
  ["a living process keeps its place", { name: "x", pid: process.pid, host: hostname() }, 9 * MINUTE_MS, false],
  [
    "a number used again by another process keeps none",
    { name: "x", pid: process.pid, host: hostname() },
    11 * MINUTE_MS,
    true,
  ],
  [
    "of another machine's processes nothing is known but that they speak",
    { name: "x", pid: "gone", host: "elsewhere" },
    0,
    false,
  ],
  ["nor when they are silent for long", { name: "x", pid: "gone", host: "elsewhere" }, 11 * MINUTE_MS, true],
  ["a lock that is being written is held", "", 0, false],
  ["one that nobody went on writing is not", "{", MINUTE_MS, true],
  ["nor one with nonsense in it", { name: "x", pid: -1, host: hostname() }, MINUTE_MS, true],
] as const) {
  test(claim, (t) => {
    const root = folderFor(t);
    const pid = typeof holder === "object" && holder.pid === "gone" ? { pid: goneProcess() } : {};
    leaveLock(root, typeof holder === "string" ? holder : { ...holder, ...pid }, silentMs);
    assert.equal(claimPlace(root, "w", "s")?.number, isTaken ? 0 : 1);
  });
}

test(
  "a process that has ended keeps no place, though nobody has asked how it did",
  { skip: process.platform !== "linux" },
  async (t) => {
    const root = folderFor(t);
    // Who begins it becomes a program that asks for nothing.
    const parent = spawn("sh", ["-c", "sleep 0 & echo $!; exec sleep 60"], { stdio: ["ignore", "pipe", "ignore"] });
    t.after(() => parent.kill());
    const [said] = (await once(parent.stdout, "data")) as [Buffer];
    const pid = Number(String(said));
    const deadline = Date.now() + 10_000;
    const stat = (): string => readFileSync(`/proc/${pid}/stat`, "utf8");
    while (!stat().includes(") Z ") && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10));
    leaveLock(root, { name: "x", pid, host: hostname() });
    assert.equal(claimPlace(root, "w", "s")?.number, 0);
  },
);

test("a take-over that was never finished keeps the place for seconds, not for good", (t) => {
  const root = folderFor(t);
  const guard = `${leaveLock(root, { name: "x", pid: goneProcess(), host: hostname() })}.next`;
  writeFileSync(guard, "");
  assert.equal(claimPlace(root, "a", "s")?.number, 1);
  const old = new Date(Date.now() - MINUTE_MS);
  utimesSync(guard, old, old);
  // The first to see it clears it away, the next has the place.
  assert.deepEqual(
    ["b", "c"].map((window) => claimPlace(root, window, "s")?.number),
    [2, 0],
  );
});

test("who says that it is there keeps its place for longer than who does not", (t) => {
  const root = folderFor(t);
  let now = Date.now();
  const one = claim(root, "a", () => now);
  for (let minute = 0; minute < 15; minute++) {
    now += MINUTE_MS;
    assert.ok(one.beat());
  }
  assert.equal(claim(root, "b", () => now).number, 1);
});

test("who slept until another had its place hears of it, and takes nothing from the other by leaving", (t) => {
  const root = folderFor(t);
  const one = claim(root, "a");
  const later = (): number => Date.now() + 11 * MINUTE_MS;
  const two = claim(root, "b", later);
  assert.equal(two.number, 0);
  assert.equal(one.beat(), false);
  one.release();
  assert.ok(existsSync(join(two.folder, "lock")));
  assert.ok(two.beat());
});

test("a folder that somebody cleaned away is made again", (t) => {
  const root = folderFor(t);
  const one = claim(root);
  rmSync(root, { recursive: true });
  assert.ok(one.beat());
  assert.equal(claim(root, "b").number, 1);
});

test("there is a bound to places, and who comes after it has none", (t) => {
  const root = folderFor(t);
  const places = Array.from({ length: PLACES_MAX }, (_, number) => claim(root, `${number}`));
  assert.equal(claimPlace(root, "one more", "s"), undefined);
  places[7]?.release();
  assert.equal(claim(root, "one more").number, 7);
});

test("where nothing can be written there is no place", (t) => {
  const root = join(folderFor(t), "file");
  writeFileSync(root, "");
  assert.equal(claimPlace(join(root, "windows"), "w", "s"), undefined);
});

test("to forget empties the places that nobody holds, and no other", (t) => {
  const root = folderFor(t);
  const [one, two] = [claim(root, "a"), claim(root, "b")];
  for (const place of [one, two]) writeFileSync(join(place.folder, "x.json"), "said");
  two.release();
  emptyFreePlaces(root);
  assert.ok(existsSync(join(one.folder, "x.json")));
  assert.deepEqual(readdirSync(two.folder), []);
});

test("others cannot read what is kept", { skip: process.platform === "win32" }, (t) => {
  const { folder } = claim(join(folderFor(t), "windows"));
  assert.equal(statSync(folder).mode & 0o077, 0);
  assert.equal(statSync(join(folder, "lock")).mode & 0o077, 0);
});

test("a name that is made up is the same for all windows, and one that was spoilt is made anew", (t) => {
  const root = join(folderFor(t), "windows");
  const name = (made: string): string => keptName(root, "guest", /^guest-[0-9]$/, () => made);
  assert.equal(name("guest-1"), "guest-1");
  assert.equal(name("guest-2"), "guest-1");
  writeFileSync(join(root, "guest"), "nonsense");
  assert.equal(name("guest-3"), "guest-3");
  assert.equal(name("guest-4"), "guest-3");
});

test("what waits for one server is not found by a window of another; the window that left it finds it", (t) => {
  const root = folderFor(t);
  const left = claim(root, "a");
  left.serve("s");
  left.release();
  const other = claimPlace(root, "b", "elsewhere");
  assert.equal(other?.number, 1);
  other?.release();
  assert.equal(claimPlace(root, "a", "elsewhere")?.number, 0);
});

test("a window of the same server finds what another one left", (t) => {
  const root = folderFor(t);
  const left = claim(root, "a");
  left.serve("s");
  left.release();
  assert.equal(claim(root, "b").number, 0);
});

test("another place that a window had is found when something was left there and nobody has been there for long", (t) => {
  const root = folderFor(t);
  const [former, latter, other] = [claim(root, "a"), claim(root, "a"), claim(root, "b")];
  former.serve("s");
  const left = (server = "s", ms = 2 * MINUTE_MS): number | undefined => {
    const place = claimLeftPlace(root, "a", server, () => Date.now() + ms);
    place?.release();
    return place?.number;
  };
  writeFileSync(join(former.folder, "x.json"), "kept");
  assert.equal(left(), undefined, "its process is there");
  former.release();
  assert.equal(left("s", MINUTE_MS / 2), undefined, "it may come back");
  assert.equal(left("elsewhere"), undefined);
  assert.equal(left(), former.number);
  rmSync(join(former.folder, "x.json"));
  assert.equal(left(), undefined, "nothing is there");
  writeFileSync(join(other.folder, "x.json"), "kept");
  other.release();
  assert.equal(left(), undefined, "it is another's");
  writeFileSync(join(latter.folder, "x.json"), "kept");
  latter.leave();
  assert.equal(left(), undefined, "it was left for good");
});
