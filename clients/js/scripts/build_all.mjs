// What comes before the tests, all at once: the form of the files, the library as it is published, and the tests.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

const PACKAGE = new URL("../", import.meta.url);
const COMMANDS = [
  ["prettier/bin/prettier.cjs", "--check", "--log-level", "warn", "."],
  ["typescript/bin/tsc", "-p", "tsconfig.json"],
  ["typescript/bin/tsc", "-p", "tsconfig.test.json"],
];

// Of files that have gone, nothing is to be left.
for (const folder of ["dist", "build"]) rmSync(new URL(folder, PACKAGE), { recursive: true, force: true });
const codes = await Promise.all(
  COMMANDS.map(async ([tool, ...given]) => {
    const program = fileURLToPath(new URL(`node_modules/${tool}`, PACKAGE));
    const child = spawn(process.execPath, [program, ...given], { cwd: PACKAGE, stdio: "inherit" });
    const [code] = await once(child, "close");
    return code;
  }),
);
process.exitCode = codes.every((code) => code === 0) ? 0 : 1;
