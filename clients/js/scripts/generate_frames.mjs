// Writes src/frames.ts: the frames of the protocol as TypeScript, from its JSON Schema. It checks no frame.
//
// It knows the words of JSON Schema that the protocol uses, and stops at any other rather than pass it over.
// `--check` writes nothing and fails where the file is not what would be written.

import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

const SCHEMA = new URL("../../../engine/transport/schema/frames.schema.json", import.meta.url);
const TARGET = new URL("../src/frames.ts", import.meta.url);

// Called otherwise, for JavaScript has something of that name.
const RENAMED = new Map([["Error", "ErrorFrame"]]);

// What says nothing that a type could say.
const PASSED_OVER = new Set([
  "title",
  "description",
  "examples",
  "pattern",
  "not",
  "minLength",
  "maxLength",
  "minimum",
  "maximum",
  "exclusiveMinimum",
  "maxItems",
  "maxProperties",
  "propertyNames",
]);
const UNDERSTOOD = new Set([
  "$ref",
  "anyOf",
  "const",
  "enum",
  "type",
  "properties",
  "required",
  "additionalProperties",
  "items",
]);

/** @param {string} schemaText @returns {string} */
export function generate(schemaText) {
  const definitions = JSON.parse(schemaText).$defs;
  const parts = Object.entries(definitions).map(([name, schema]) => declaration(named(name), schema));
  return [
    "// The frames of the protocol. Made by scripts/generate_frames.mjs from the protocol's JSON Schema; do not edit.\n",
    ...parts,
  ].join("\n");
}

function declaration(name, schema) {
  const doc = comment(schema, "");
  if (schema.type === "object" && schema.properties) return `${doc}export interface ${name} ${object(schema, "")}\n`;
  return `${doc}export type ${name} = ${type(schema, "", name)};\n`;
}

function named(name) {
  return RENAMED.get(name) ?? name;
}

function type(schema, indent, where) {
  for (const word of Object.keys(schema)) {
    if (!PASSED_OVER.has(word) && !UNDERSTOOD.has(word)) {
      throw new Error(`${where}: expected a word that the generator knows, got "${word}"; teach it what it means`);
    }
  }
  if (schema.$ref) return named(schema.$ref.replace("#/$defs/", ""));
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(" | ");
  // Of an object `anyOf` only says which fields have to be there together.
  if (schema.anyOf && schema.type !== "object") {
    return schema.anyOf.map((one) => type(one, indent, where)).join(" | ");
  }
  if (Array.isArray(schema.type))
    return schema.type.map((one) => type({ ...schema, type: one }, indent, where)).join(" | ");
  switch (schema.type) {
    case "string":
    case "boolean":
    case "null":
      return schema.type;
    case "integer":
    case "number":
      return "number";
    case "array": {
      const item = type(schema.items, indent, where);
      return item.includes("|") ? `readonly (${item})[]` : `readonly ${item}[]`;
    }
    case "object":
      if (schema.properties) return object(schema, indent);
      if (typeof schema.additionalProperties === "object") {
        return `{ readonly [name: string]: ${type(schema.additionalProperties, indent, where)} }`;
      }
      return "{ readonly [name: string]: unknown }";
    default:
      throw new Error(`${where}: expected a type that the generator knows, got ${JSON.stringify(schema.type)}`);
  }
}

function object(schema, indent) {
  const inner = `${indent}  `;
  const required = new Set(schema.required ?? []);
  const fields = Object.entries(schema.properties).map(
    ([name, field]) =>
      `${comment(field, inner)}${inner}readonly ${name}${required.has(name) ? "" : "?"}: ${type(field, inner, name)};`,
  );
  if (schema.additionalProperties !== false) fields.push(`${inner}readonly [field: string]: unknown;`);
  return `{\n${fields.join("\n")}\n${indent}}`;
}

function comment(schema, indent) {
  return schema.description ? `${indent}/** ${schema.description.replaceAll("*/", "*\\/")} */\n` : "";
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const made = generate(readFileSync(SCHEMA, "utf8"));
  if (!process.argv.includes("--check")) {
    writeFileSync(TARGET, made);
  } else if (readFileSync(TARGET, "utf8") !== made) {
    console.error("src/frames.ts is not what the protocol's schema says; run `npm run generate` and commit it");
    process.exit(1);
  }
}
