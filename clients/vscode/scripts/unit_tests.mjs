// Runs tests/unit: what is written in TypeScript is bundled first, each file by itself. It checks no types.

import { spawnSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { basename } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { HOST } from "./build.mjs";

const path = (name) => fileURLToPath(new URL(`../${name}`, import.meta.url));
const names = readdirSync(path("tests/unit")).sort();
const typed = names.filter((name) => name.endsWith(".test.ts")).map((name) => path(`tests/unit/${name}`));
const plain = names.filter((name) => name.endsWith(".test.mjs")).map((name) => path(`tests/unit/${name}`));

rmSync(path("build/unit"), { recursive: true, force: true });
await build({
  ...HOST,
  entryPoints: typed,
  outdir: path("build/unit"),
  outExtension: { ".js": ".cjs" },
  sourcemap: "inline",
});
const built = typed.map((name) => path(`build/unit/${basename(name, ".ts")}.cjs`));
const { status } = spawnSync(process.execPath, ["--enable-source-maps", "--test", ...built, ...plain], {
  cwd: path("."), // where tests find their fixtures
  stdio: "inherit",
});
process.exit(status ?? 1);
