// Says how big the package is that `vsce` has made.

import { readdirSync, statSync } from "node:fs";

const dist = new URL("../dist/", import.meta.url);
for (const name of readdirSync(dist).filter((one) => one.endsWith(".vsix"))) {
  console.log(`dist/${name}: ${statSync(new URL(name, dist)).size} bytes`);
}
