// Bundles the widget into dist/widget.js, and puts the same file into the Python package. With --check it writes
// nothing, and fails where what is there is not what the sources make.
//
// The first line of the file has the sum of all that it is made of, by which the Python tests see without Node whether
// it is up to date.

import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const HERE = new URL("../", import.meta.url);
const PACKAGED = new URL("../../engine/transport/demo/widget.js", HERE);
const BUILT = new URL("dist/widget.js", HERE);

/** The sum over name and content of every source, in the order of their paths from `clients/`. */
function sumOfSources() {
  const clients = new URL("../", HERE);
  const folders = ["js/src/", "web/src/"];
  const names = folders.flatMap((folder) => readdirSync(new URL(folder, clients)).map((name) => folder + name));
  const sum = createHash("sha256");
  for (const name of [...names, "web/scripts/build.mjs", "web/package-lock.json"].sort()) {
    sum.update(`${name}\0`);
    sum.update(readFileSync(new URL(name, clients)));
    sum.update("\0");
  }
  return sum.digest("hex");
}

const { outputFiles } = await build({
  entryPoints: [fileURLToPath(new URL("src/index.ts", HERE))],
  alias: { "@proactive/client": fileURLToPath(new URL("../js/src/index.ts", HERE)) },
  absWorkingDir: fileURLToPath(HERE),
  bundle: true,
  format: "iife",
  minify: true,
  charset: "ascii",
  target: ["es2022"],
  legalComments: "none",
  banner: { js: `/*! proactive widget, MIT licence, sources ${sumOfSources()} */` },
  write: false,
  outfile: "widget.js",
});
const made = outputFiles[0].contents;
if (process.argv.includes("--check")) {
  if (!Buffer.from(made).equals(readFileSync(PACKAGED))) {
    console.error("engine/transport/demo/widget.js is not what the sources make; run npm run build");
    process.exit(1);
  }
} else {
  mkdirSync(new URL(".", BUILT), { recursive: true });
  writeFileSync(BUILT, made);
  writeFileSync(PACKAGED, made);
  console.log(`dist/widget.js: ${made.length} bytes, ${gzipSync(made, { level: 9 }).length} gzipped`);
}
