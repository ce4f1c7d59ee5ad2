// Writes the types of the package into dist/: those of its sources and of the client's, which it has within itself, and
// dist/widget.d.ts, by which an import of the script has `window.Proactive` and exports nothing.

import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

const HERE = new URL("../", import.meta.url);
const TYPES = new URL("dist/types/", HERE);

rmSync(TYPES, { recursive: true, force: true });
const tsc = fileURLToPath(new URL("node_modules/typescript/bin/tsc", HERE));
const given = ["--noEmit", "false", "--declaration", "--emitDeclarationOnly", "--stripInternal", "--newLine", "lf"];
execFileSync(process.execPath, [tsc, ...given, "--rootDir", "..", "--outDir", "dist/types"], {
  cwd: HERE,
  stdio: "inherit",
});
const OWN = new URL("web/src/", TYPES);
for (const name of readdirSync(OWN)) {
  const file = new URL(name, OWN);
  writeFileSync(file, readFileSync(file, "utf8").replaceAll('"@proactive/client"', '"../../js/src/index.js"'));
}
writeFileSync(new URL("dist/widget.d.ts", HERE), 'import "./types/web/src/index.js";\n\nexport {};\n');
