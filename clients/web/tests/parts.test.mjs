// The parts of the widget that need no page: texts, times, options, what is kept.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

/** A module of src/, as Node can load it. */
async function load(name) {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL(`../src/${name}.ts`, import.meta.url))],
    alias: { "@proactive/client": fileURLToPath(new URL("../../js/src/index.ts", import.meta.url)) },
    bundle: true,
    format: "esm",
    write: false,
  });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString("base64")}`);
}

const { partsOf, spansOf, teaserOf } = await load("text");
const { optionsOf, addressesOf } = await load("options");
const { Conversation } = await load("conversation");
const { stateLine, whyLines, troubleOf } = await load("words");
const { tomorrowMorning } = await load("times");

const text = (value) => ({ kind: "text", text: value });
const code = (value, language = "") => ({ kind: "code", text: value, language });

for (const [claim, given, expected] of [
  ["a text is one part", "one\ntwo", [text("one\ntwo")]],
  ["nothing is no part", " \n", []],
  ["code stands between fences", "a\n```js\nx = 1\n```\nb", [text("a"), code("x = 1", "js"), text("b")]],
  ["a fence without an end is code, as while it is written", "a\n```\nx", [text("a"), code("x")]],
  ["a fence with a language within code is code", "```\n```js\n```", [code("```js")]],
  ["lines may end as on Windows", "a\r\n```\r\nx\r\n```", [text("a"), code("x")]],
  ["code keeps its indentation and its empty lines", "```\n\n  x\n\n```", [code("\n  x\n")]],
  ["markup is a text like any other", "<b>a</b>", [text("<b>a</b>")]],
]) {
  test(claim, () => assert.deepEqual(partsOf(given), expected));
}

const span = (kind, value) => ({ kind, text: value });
for (const [claim, given, expected] of [
  ["what is marked as code stands for itself", "a `b` c", [text("a "), span("code", "b"), text(" c")]],
  ["what is marked as important stands for itself", "**a b** c", [span("strong", "a b"), text(" c")]],
  ["marks within code are code", "`a ** b` **", [span("code", "a ** b"), text(" **")]],
  ["marks with nothing between them are a text", "a `` b **** c", [text("a `` b **** c")]],
  ["signs of an operation are a text", "2 ** 3 ** 4", [text("2 ** 3 ** 4")]],
  ["a mark without its other is a text", "a `b\nc` **d", [text("a `b\nc` **d")]],
  ["nothing is no span", "", []],
]) {
  test(claim, () => assert.deepEqual(spansOf(given), expected));
}

test("a teaser is one line, and no character is cut in two", () => {
  assert.equal(teaserOf("a\n  b"), "a b");
  assert.equal(teaserOf("x".repeat(140)), "x".repeat(140));
  assert.equal(teaserOf("x".repeat(141)), `${"x".repeat(139)}…`);
  assert.equal(teaserOf("😀".repeat(3), 2), "😀…");
});

test("attributes are options", () => {
  assert.deepEqual(optionsOf({}), { open: false, keep: true });
  assert.deepEqual(optionsOf({ user: "ann", webSocketPort: "7778", open: "", keep: "false", other: "x" }), {
    user: "ann",
    webSocketPort: 7778,
    open: true,
    keep: false,
  });
  for (const port of ["0", "65536", "7778x", "-1", "1e3"]) {
    assert.throws(() => optionsOf({ webSocketPort: port }), /data-web-socket-port/);
  }
});

test("addresses come from where the script came from, unless something else is said", () => {
  const origin = "https://p.example:7777";
  assert.deepEqual(addressesOf({}, origin), { httpUrl: origin });
  assert.deepEqual(addressesOf({ webSocketPort: 1 }, origin), { httpUrl: origin, webSocketUrl: "wss://p.example:1" });
  assert.deepEqual(addressesOf({ http: "http://[::1]:1/", webSocketPort: 2 }, origin), {
    httpUrl: "http://[::1]:1",
    webSocketUrl: "ws://[::1]:2",
  });
  assert.throws(() => addressesOf({}, "file:///x"), /data-http/);
});

/** A `sessionStorage` with so much room. */
class Storage extends Map {
  getItem = (key) => this.get(key) ?? null;
  setItem = (key, value) => this.set(key, value);
  removeItem = (key) => this.delete(key);
}

const said = (id, more = {}) => ({ kind: "said", id, text: "Hi", isWaiting: true, ...more });

test("what was said is there on the next page, but for an answer that is being written", () => {
  const storage = new Storage();
  const first = new Conversation(storage, "k");
  first.put(said("1"));
  first.put({ kind: "answer", id: "answer:1", text: "He", isWriting: true });
  assert.deepEqual(new Conversation(storage, "k").all(), [said("1")]);
  first.clear();
  assert.equal(storage.size, 0);
});

test("a conversation has a bound, and what is kept of it a smaller one", () => {
  const storage = new Storage();
  const conversation = new Conversation(storage, "k");
  for (let number = 0; number < 200; number++) assert.deepEqual(conversation.put(said(`${number}`)), []);
  assert.deepEqual(conversation.put(said("200")), ["0"]);
  assert.equal(conversation.all().length, 200);
  assert.equal(new Conversation(storage, "k").all().length, 50);
  conversation.put(said("long", { text: "x".repeat(600_000) }));
  assert.deepEqual(new Conversation(storage, "k").all(), []);
});

test("what others wrote into the storage of the page is passed over", () => {
  for (const value of ["{", "5", '[null, 5, {}, {"id": 1}, {"id": "a", "kind": "message"}]']) {
    assert.deepEqual(new Conversation(new Storage([["k", value]]), "k").all(), []);
  }
});

test("a storage that throws keeps nothing, and nobody minds", () => {
  const broken = {
    getItem: () => assert.fail(),
    setItem: () => assert.fail(),
    removeItem: () => assert.fail(),
  };
  const conversation = new Conversation(broken, "k");
  conversation.put(said("1"));
  assert.equal(conversation.all().length, 1);
});

test("the line about the connection says what waits, where it does", () => {
  assert.equal(stateLine({ state: "connected", transport: "websocket" }, 3), "Connected");
  assert.equal(stateLine({ state: "fallback", transport: "sse" }, 0), "Connected over HTTP");
  assert.equal(stateLine({ state: "reconnecting", reason: "lost" }, 2), "Reconnecting… · 2 waiting to be sent");
  assert.equal(stateLine({ state: "offline", reason: "no_network" }, 0), "Offline: no network");
});

test("why a message is there is told from what its frame has", () => {
  const [line, ...rest] = whyLines({ rule: "stuck", timestamp: 0 }, 0);
  assert.match(line, /^The rule “stuck” .* at /);
  assert.deepEqual(rest, []);
  assert.match(whyLines({}, 0)[0], /not from a rule/);
  assert.equal(whyLines({ rule: "r", why: "Three runs failed.", expiresAt: 60 }, 0).length, 3);
});

test("what was acknowledged or waits is no trouble", () => {
  assert.equal(troubleOf({ status: "acknowledged" }), undefined);
  assert.equal(troubleOf({ status: "kept" }), undefined);
  assert.match(troubleOf({ status: "refused", error: { code: "bad_frame", message: "too long" } }), /too long/);
  assert.match(troubleOf({ status: "dropped" }), /Not sent/);
});

test("tomorrow begins at eight, also at the end of a month and before dawn", () => {
  for (const [now, then] of [
    [new Date(2026, 2, 31, 23, 59), new Date(2026, 3, 1, 8)],
    [new Date(2026, 11, 31, 3), new Date(2027, 0, 1, 8)],
  ]) {
    assert.equal(tomorrowMorning(now.getTime()), then.getTime());
  }
});
