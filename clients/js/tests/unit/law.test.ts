/** What holds for the sources themselves: the frames are those of the schema, files are short, nothing is installed with it. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

// From build/tests/unit/ of the package.
const PACKAGE = new URL("../../../", import.meta.url);
const LINES_MAX = 400;

function sources(folder: string): [string, string][] {
  const names = readdirSync(new URL(folder, PACKAGE), { recursive: true }).map(String);
  return names
    .filter((name) => /\.(ts|mjs)$/.test(name))
    .map((name) => [folder + name, readFileSync(new URL(folder + name, PACKAGE), "utf8")]);
}

test("src/frames.ts is what the protocol's JSON Schema says", () => {
  execFileSync(process.execPath, [fileURLToPath(new URL("scripts/generate_frames.mjs", PACKAGE)), "--check"]);
});

test(`files have at most ${LINES_MAX} lines, and say first what they are`, () => {
  for (const [name, text] of [...sources("src/"), ...sources("tests/"), ...sources("scripts/")]) {
    assert.ok(text.split("\n").length <= LINES_MAX + 1, name);
    assert.match(text, /^\/[/*]/, name);
  }
});

test("nothing is of type any, and no fault of types is silenced", () => {
  for (const [name, text] of [...sources("src/"), ...sources("tests/")]) {
    assert.equal(text.match(/(:|<|as|\|) ?\bany\b(?=[\s;,>)[])|@ts-(ignore|expect|nocheck)/)?.[0], undefined, name);
  }
});

test("the library imports its own files and nothing else", () => {
  for (const [name, text] of sources("src/")) {
    for (const [, from] of text.matchAll(/from "([^"]+)"/g)) assert.match(from ?? "", /^\.\/\w+\.js$/, name);
  }
  const manifest = JSON.parse(readFileSync(new URL("package.json", PACKAGE), "utf8")) as Record<string, unknown>;
  assert.equal("dependencies" in manifest, false);
});

test("the core knows no clock, no timer, no chance and no socket", () => {
  const core = [
    "session",
    "effects",
    "states",
    "queue",
    "inbox",
    "connector",
    "watchdog",
    "backoff",
    "closing",
    "reading",
    "event_stream",
  ];
  for (const name of core) {
    const code = readFileSync(new URL(`src/${name}.ts`, PACKAGE), "utf8").replace(/\/\*[^]*?\*\/|\/\/.*/g, "");
    assert.equal(
      code.match(
        /Date\.|performance\.|Math\.random|crypto|setTimeout|setInterval|new WebSocket|\bfetch\(|window|document/,
      )?.[0],
      undefined,
      name,
    );
  }
});

test("the lock says what is installed, and not from where", () => {
  const lock = readFileSync(new URL("package-lock.json", PACKAGE), "utf8");
  assert.doesNotMatch(lock, /"resolved"|https?:\/\/[^"]*registry/);
  assert.match(lock, /"integrity": "sha512-/);
});
