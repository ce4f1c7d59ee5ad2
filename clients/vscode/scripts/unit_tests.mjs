// Runs tests/unit: what is written in TypeScript is bundled first, each file by itself. It checks no types.

import { spawnSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { HOST } from "./build.mjs";

const path = (name) => fileURLToPath(new URL(`../${name}`, import.meta.url));
const names = readdirSync(path("tests/unit")).sort();
const typed = names.filter((name) => name.endsWith(".test.ts")).map((name) => path(`tests/unit/${name}`));
const plain = names.filter((name) => name.endsWith(".test.mjs")).map((name) => path(`tests/unit/${name}`));

// A folder of its own, so that two may run at once.
const folder = path(`build/unit-${process.pid}`);
await build({
  ...HOST,
  entryPoints: typed,
  outdir: folder,
  outExtension: { ".js": ".cjs" },
  sourcemap: "inline",
});
const built = typed.map((name) => join(folder, `${basename(name, ".ts")}.cjs`));
const { status } = spawnSync(process.execPath, ["--enable-source-maps", "--test", ...built, ...plain], {
  cwd: path("."), // where tests find their fixtures
  stdio: "inherit",
});
rmSync(folder, { recursive: true, force: true });
process.exit(status ?? 1);
