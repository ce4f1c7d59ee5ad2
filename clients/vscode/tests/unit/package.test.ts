/** What a user gets beside the code. */

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";

interface Manifest {
  readonly version: string;
  readonly icon: string;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly scripts: Readonly<Record<string, string>>;
  readonly contributes: {
    readonly commands: readonly { readonly command: string }[];
    readonly configuration: readonly { readonly properties: Readonly<Record<string, unknown>> }[];
  };
}

const manifest = JSON.parse(readFileSync("package.json", "utf8")) as Manifest;
const readme = readFileSync("README.md", "utf8");

test("the licences of all that is bundled are in the package", () => {
  const notices = readFileSync("ThirdPartyNotices.txt", "utf8");
  for (const name of Object.keys(manifest.dependencies)) {
    assert.ok(notices.includes(readFileSync(`node_modules/${name}/LICENSE`, "utf8").trim()), name);
  }
});

test("its own licence and its icon are there", () => {
  assert.ok(existsSync("LICENSE"));
  assert.ok(existsSync(manifest.icon));
});

test("the package is called by its version", () => {
  assert.ok(manifest.scripts["package"]?.includes(`-${manifest.version}.vsix`));
});

for (const { command } of manifest.contributes.commands) {
  test(`the README tells of the command ${command}`, () => {
    assert.ok(readme.includes(`\`${command}\``) || readme.includes(`\`${command.replace("proactive", "")}\``), command);
  });
}

for (const setting of manifest.contributes.configuration.flatMap(({ properties }) => Object.keys(properties))) {
  test(`the README tells of the setting ${setting}`, () => assert.ok(readme.includes(`\`${setting}\``), setting));
}
