/** The package as it is published: what is in it, and that the programs of README.md do with it what they say. */

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { before, test } from "node:test";
import { fileURLToPath } from "node:url";
import ts from "typescript";

import { RealServer } from "../real_server.js";

// From build/tests/contract/ of the package. An empty project; `ws` and the types of Node it finds above itself.
const PACKAGE = new URL("../../../", import.meta.url);
const FOLDER = new URL("build/consumer/", PACKAGE);
const PROGRAMS = [...readFileSync(new URL("README.md", PACKAGE), "utf8").matchAll(/^```ts\n([^]*?)^```$/gm)].map(
  ([, text]) => text ?? "",
);
const YOURS =
  "declare function show(text: unknown): { onAnswer?: (answer: string) => void };\ndeclare function hide(id: string): void;\n";

interface Packed {
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}

let packed: Packed;

function npm(folder: URL, ...given: string[]): string {
  // What has been built is packed as it is: the other tests are using it.
  const quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  return execFileSync("npm", [...given, ...quiet], { cwd: folder, encoding: "utf8" });
}

before(() => {
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(new URL("package.json", FOLDER), JSON.stringify({ private: true, type: "module" }));
  packed = (JSON.parse(npm(PACKAGE, "pack", "--json", "--pack-destination", fileURLToPath(FOLDER))) as Packed[])[0] ?? {
    filename: "",
    files: [],
  };
  npm(FOLDER, "install", "--offline", "--no-package-lock", `./${packed.filename}`);
});

test("in the package is the library with its types, the licence, the README, and nothing else", () => {
  const modules = readdirSync(new URL("src/", PACKAGE)).map((name) => name.replace(/\.ts$/, ""));
  const expected = modules.flatMap((name) => [`dist/${name}.js`, `dist/${name}.d.ts`]);
  assert.deepEqual(
    packed.files.map(({ path }) => path).sort(),
    [...expected, "LICENSE", "README.md", "package.json"].sort(),
  );
});

for (const [number, resolution] of [
  [0, "Bundler"],
  [1, "NodeNext"],
] as const) {
  test(`program ${number} of the README is right for ${resolution}, as strict as can be`, () => {
    const text = PROGRAMS[number] ?? "";
    const name = fileURLToPath(new URL(`program${number}.ts`, FOLDER));
    writeFileSync(name, text.includes("show(") ? YOURS + text : text);
    const program = ts.createProgram([name], {
      strict: true,
      noUncheckedIndexedAccess: true,
      exactOptionalPropertyTypes: true,
      noPropertyAccessFromIndexSignature: true,
      skipDefaultLibCheck: true,
      target: ts.ScriptTarget.ES2022,
      module: resolution === "Bundler" ? ts.ModuleKind.ESNext : ts.ModuleKind.NodeNext,
      moduleResolution: ts.ModuleResolutionKind[resolution],
      types: resolution === "Bundler" ? [] : ["node"],
      noEmit: true,
    });
    const faults = ts
      .getPreEmitDiagnostics(program)
      .map((fault) => ts.flattenDiagnosticMessageText(fault.messageText, "\n"));
    assert.deepEqual(faults, []);
    assert.ok(
      program.getSourceFiles().some((file) => file.fileName.includes("consumer/node_modules/@proactive/client/")),
    );
  });
}

test("the program for Node tells its event, and ends", async () => {
  const server = await RealServer.start();
  try {
    const { webSocketUrl, httpUrl } = server.addresses;
    const text = (PROGRAMS[1] ?? "")
      .replace("ws://127.0.0.1:7778", webSocketUrl)
      .replace("http://127.0.0.1:7777", httpUrl);
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
