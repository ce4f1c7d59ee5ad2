// The package as it is published: what is in it, and that a page's own scripts in TypeScript know what it gives them.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

const HERE = fileURLToPath(new URL("../", import.meta.url));
const TSC = join(HERE, "node_modules", "typescript", "bin", "tsc");
const folder = mkdtempSync(join(tmpdir(), "proactive-widget-"));
let packed;

function npm(cwd, ...given) {
  // It has been built; the types are made here.
  const quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  return execFileSync("npm", [...given, ...quiet], { cwd, encoding: "utf8" });
}

before(() => {
  execFileSync(process.execPath, [join(HERE, "scripts", "types.mjs")]);
  [packed] = JSON.parse(npm(HERE, "pack", "--json", "--pack-destination", folder));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
  npm(folder, "install", "--offline", "--no-package-lock", `./${packed.filename}`);
});
after(() => rmSync(folder, { recursive: true, force: true }));

test("in the package is the script with its types, the licence, the README, and nothing else", () => {
  const types = ["js", "web"].flatMap((part) =>
    readdirSync(join(HERE, "..", part, "src")).map(
      (name) => `dist/types/${part}/src/${name.replace(/\.ts$/, ".d.ts")}`,
    ),
  );
  assert.deepEqual(
    packed.files.map(({ path }) => path).sort(),
    ["LICENSE", "README.md", "dist/widget.d.ts", "dist/widget.js", "package.json", ...types].sort(),
  );
});

test("a page's own script knows what the widget can do, and what it cannot", () => {
  const check = (text) => {
    writeFileSync(join(folder, "page.ts"), text);
    const given = ["--strict", "--noEmit", "--skipDefaultLibCheck", "--exactOptionalPropertyTypes"];
    const kind = ["--module", "esnext", "--moduleResolution", "bundler", "--target", "es2022"];
    try {
      execFileSync(process.execPath, [TSC, ...given, ...kind, "page.ts"], { cwd: folder, encoding: "utf8" });
      return "";
    } catch (error) {
      return error.stdout;
    }
  };
  const page = `import "@proactive/widget";
const widget = window.Proactive?.mount({ user: "ann" });
void widget?.send({ type: "cart.opened", items: 3 }).then((isTaken: boolean) => isTaken);
`;
  assert.equal(check(page), "");
  assert.match(check(`${page}widget?.shout();\n`), /TS2339: Property 'shout' does not exist/);
});
