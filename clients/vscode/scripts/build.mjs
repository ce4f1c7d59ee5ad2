// Bundles the extension's two halves: dist/extension.js for the host, dist/panel.js for the view. It checks no types.

import { existsSync, statSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { build, context } from "esbuild";

const HERE = new URL("../", import.meta.url);
const path = (name) => fileURLToPath(new URL(name, HERE));

/** Where the parts are that this shares with the other clients. Also for tests, which bundle single modules. */
export const ALIAS = {
  "@proactive/client": path("../js/src/index.ts"),
  "@proactive/widget": path("../web/src"),
};

/** What the host's half is bundled with. `ws` takes the two others where they are installed, and they are not. */
export const HOST = {
  alias: ALIAS,
  absWorkingDir: path("."),
  // The sources of the other clients lie in folders of their own, which need not be installed.
  nodePaths: [path("node_modules")],
  bundle: true,
  format: "cjs",
  platform: "node",
  target: ["node20"],
  external: ["vscode", "bufferutil", "utf-8-validate"],
  legalComments: "none",
};

const host = { ...HOST, entryPoints: [path("src/extension.ts")], outfile: "dist/extension.js", minify: true };
const view = {
  ...HOST,
  entryPoints: [path("src/webview/panel.ts")],
  outfile: "dist/panel.js",
  format: "iife",
  platform: "browser",
  target: ["es2022"],
  external: [],
  charset: "ascii",
  minify: true,
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (process.argv.includes("--watch")) {
    for (const options of [host, view]) await (await context({ ...options, sourcemap: "inline" })).watch();
  } else {
    await Promise.all([build(host), build(view)]);
    for (const name of ["dist/extension.js", "dist/panel.js"]) {
      if (existsSync(path(name))) console.log(`${name}: ${statSync(path(name)).size} bytes`);
    }
  }
}
