/** The programs of README.md: both are right to the compiler, and the one for Node does what it says. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import ts from "typescript";

import { RealServer } from "../real_server.js";

// From build/tests/contract/ of the package; within it, `@proactive/client` is what has been built.
const PACKAGE = new URL("../../../", import.meta.url);
const FOLDER = new URL("build/readme/", PACKAGE);
const PROGRAMS = [...readFileSync(new URL("README.md", PACKAGE), "utf8").matchAll(/^```ts\n([^]*?)^```$/gm)].map(
  ([, text]) => text ?? "",
);
const YOURS =
  "declare function show(text: unknown): { onAnswer?: (answer: string) => void };\ndeclare function hide(id: string): void;\n";

test("the programs of the README are right, as strict as can be", () => {
  mkdirSync(FOLDER, { recursive: true });
  const names = PROGRAMS.map((text, number) => {
    const name = fileURLToPath(new URL(`program${number}.ts`, FOLDER));
    writeFileSync(name, text.includes("show(") ? YOURS + text : text);
    return name;
  });
  assert.equal(names.length, 2);
  const program = ts.createProgram(names, {
    strict: true,
    noUncheckedIndexedAccess: true,
    exactOptionalPropertyTypes: true,
    noPropertyAccessFromIndexSignature: true,
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    types: ["node"],
    noEmit: true,
  });
  const faults = ts
    .getPreEmitDiagnostics(program)
    .map((fault) => ts.flattenDiagnosticMessageText(fault.messageText, "\n"));
  assert.deepEqual(faults, []);
});

test("the program for Node tells its event, and ends", async () => {
  const server = await RealServer.start();
  try {
    const { webSocketUrl, httpUrl } = server.addresses;
    const text = (PROGRAMS[1] ?? "")
      .replace("ws://127.0.0.1:7778", webSocketUrl)
      .replace("http://127.0.0.1:7777", httpUrl);
    mkdirSync(FOLDER, { recursive: true });
    const name = new URL("program.mjs", FOLDER);
    writeFileSync(name, text);
    const child = spawn(process.execPath, [fileURLToPath(name)], { stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    child.stdout.on("data", (piece: Buffer) => {
      output += piece.toString();
    });
    const [code] = (await once(child, "close")) as [number];
    assert.equal(code, 0);
    assert.equal(output, "{ status: 'acknowledged' }\n");
    assert.equal((await server.events("ann", "test.failed")).length, 1);
    // It has left; that is written down a moment later.
    while ((await server.events("ann", "session.end")).length === 0);
  } finally {
    await server.close();
  }
});
