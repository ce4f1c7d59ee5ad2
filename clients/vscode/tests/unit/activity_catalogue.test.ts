/** The README's table, the settings and docs/clients.md say what the code does. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { OMITTED, OTHER_SETTINGS, REPORTERS } from "../../src/activity/catalogue.js";

interface Setting {
  readonly default: unknown;
  readonly scope: string;
}
interface Manifest {
  readonly enabledApiProposals?: unknown;
  readonly contributes: {
    readonly commands: readonly { readonly command: string }[];
    readonly configuration: readonly { readonly properties: Readonly<Record<string, Setting>> }[];
  };
}

const manifest = JSON.parse(readFileSync("package.json", "utf8")) as Manifest;
const readme = readFileSync("README.md", "utf8");
const section = readme.slice(readme.indexOf("<!-- activity -->"), readme.indexOf("<!-- /activity -->"));
const settings = Object.assign({}, ...manifest.contributes.configuration.map(({ properties }) => properties)) as Record<
  string,
  Setting
>;
const ours = Object.entries(settings).filter(([name]) => name.startsWith("proactive.activity."));

function table(): string {
  const rows = REPORTERS.flatMap(({ name, perMinute, events }) =>
    events.map(({ type, fields, when }, at) => {
      const first = at === 0 ? [`\`proactive.activity.${name}\``, `${perMinute}`] : ["", ""];
      const names = fields.map((field) => `\`${field}\``).join(", ");
      return `| ${[...first, `\`${type}\``, names, when].join(" | ")} |`;
    }),
  );
  return ["| setting | a minute | event | fields | when |", "| --- | --- | --- | --- | --- |", ...rows]
    .join("\n")
    .replaceAll("|  |", "| |")
    .replaceAll("|  |", "| |");
}

test("the README has the table of what is reported", () => {
  assert.ok(section.includes(`\n${table()}\n`), `expected in README.md between the marks:\n${table()}`);
});

test("the README says what is told beyond the bounds, and every setting", () => {
  for (const name of [OMITTED.type, ...OMITTED.fields]) assert.ok(section.includes(`\`${name}\``), name);
  for (const [name] of ours) assert.ok(readme.includes(`\`${name}\``), name);
});

test("every reporter has its setting, on by default; all of it together is off; only the user's own settings count", () => {
  const names = ["enabled", ...REPORTERS.map(({ name }) => name), ...OTHER_SETTINGS];
  assert.deepEqual(ours.map(([name]) => name).sort(), names.map((name) => `proactive.activity.${name}`).sort());
  for (const { name } of REPORTERS) assert.equal(settings[`proactive.activity.${name}`]?.default, true, name);
  for (const name of ["enabled", "includeText"]) {
    assert.equal(settings[`proactive.activity.${name}`]?.default, false, name);
  }
  for (const [name, { scope }] of ours) assert.equal(scope, "application", name);
});

test("the command is there, and no proposal is declared, which would bar the extension from the marketplace", () => {
  assert.ok(manifest.contributes.commands.some(({ command }) => command === "proactive.activityConsent"));
  assert.equal(manifest.enabledApiProposals, undefined);
});

test("docs/clients.md names every event", () => {
  const clients = readFileSync("../../docs/clients.md", "utf8");
  for (const { events } of REPORTERS) {
    for (const { type } of events) assert.ok(clients.includes(`\`${type}\``), type);
  }
});

test("no event has the name of one that the server alone tells", () => {
  for (const { events } of REPORTERS) {
    for (const { type } of events) {
      assert.match(type, /^[a-z]+\.[a-z]+$/);
      assert.ok(!/^(?:session|message)\.|^user\.(?:identify|preferences)$/.test(type), type);
    }
  }
});

test("the events that the shipped rules wait for are reported", () => {
  const rules = readFileSync("../../rules/tutor.yaml", "utf8");
  const known = new Set<string>(REPORTERS.flatMap(({ events }) => events.map(({ type }) => type)));
  const named = [...rules.matchAll(/\b(?:file|test|diagnostic|task|command|debug|window)\.[a-z]+/g)].map(
    ([name]) => name,
  );
  assert.ok(named.length > 0);
  for (const name of named) assert.ok(known.has(name), name);
});
