// The conversation at work, without a page: a view that writes down what it is to show, and a client that does so with
// what it is told.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const { outputFiles } = await build({
  stdin: {
    contents: 'export { Talk } from "./talk.js"; export { Conversation } from "./conversation.js";',
    resolveDir: fileURLToPath(new URL("../src", import.meta.url)),
    loader: "ts",
  },
  alias: { "@proactive/client": fileURLToPath(new URL("../../js/src/index.ts", import.meta.url)) },
  bundle: true,
  format: "esm",
  write: false,
});
const { Talk, Conversation } = await import(
  `data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString("base64")}`
);

class View {
  shown = new Map();
  arrivals = [];
  unread = [];
  said = [];
  line = "";
  wishes = undefined;
  isLookedAt = false;
  due = [];
  draw(item) {
    this.shown.set(item.id, item);
  }
  erase(id) {
    this.shown.delete(id);
  }
  arrived(item) {
    this.arrivals.push(item.id);
  }
  announce(text) {
    this.said.push(text);
  }
  showUnread(unread) {
    this.unread = unread.map(({ id }) => id);
  }
  showState(state, line) {
    this.line = line;
  }
  showWishes(preferences) {
    this.wishes = preferences;
  }
  isLooked() {
    return this.isLookedAt;
  }
  soon(call) {
    this.due.push(call);
  }
}

/** What it is told stands in `told`; `come` is what a server would say. */
class Client {
  told = [];
  queued = [];
  pending = 0;
  state = { state: "connected", transport: "websocket" };
  now = 1_000_000;
  listeners = new Map();
  on(name, listener) {
    this.listeners.set(name, listener);
    return () => this.listeners.delete(name);
  }
  come(name, value) {
    this.listeners.get(name)?.(value);
  }
  serverNow() {
    return this.now;
  }
  tell(...what) {
    this.told.push(what);
    return { id: `e${this.told.length}`, delivery: new Promise((resolve) => (this.settle = resolve)) };
  }
  chat = (text) => this.tell("chat", text);
  answer = ({ id }, response) => this.tell("answer", id, response);
  outcome = ({ id }, outcome) => this.tell("outcome", id, outcome);
  prefer = (change) => this.tell("prefer", change);
  forget = () => this.tell("forget");
}

const question = (id, more = {}) => ({
  type: "backend_message",
  messageType: "question",
  message: "Need a hand?",
  questionId: id,
  options: ["Yes", "No"],
  id,
  ...more,
});

function begun(t, { isLookedAt = false, kept = [] } = {}) {
  const conversation = new Conversation(undefined, "k");
  for (const item of kept) conversation.put(item);
  const [view, client] = [new View(), new Client()];
  view.isLookedAt = isLookedAt;
  const talk = new Talk(conversation, view);
  t.after(() => talk.stop());
  talk.show();
  talk.start(client);
  return { talk, view, client };
}

test("a message is drawn once, told once to whoever shows it, and counted until somebody looks", (t) => {
  const { talk, view, client } = begun(t);
  client.come("message", question("1"));
  client.come("message", question("1"));
  assert.deepEqual(view.arrivals, ["1"]);
  assert.deepEqual(view.unread, ["1"]);
  assert.deepEqual(client.told, []);
  view.isLookedAt = true;
  talk.see();
  talk.see();
  assert.deepEqual(view.unread, []);
  assert.deepEqual(client.told, [["outcome", "1", "seen"]]);
});

test("nothing is seen before there is a client to tell", (t) => {
  const view = new View();
  view.isLookedAt = true;
  const conversation = new Conversation(undefined, "k");
  conversation.put({ kind: "message", id: "1", frame: question("1"), isSeen: false });
  const talk = new Talk(conversation, view);
  t.after(() => talk.stop());
  talk.show();
  assert.deepEqual(view.unread, ["1"]);
  const client = new Client();
  talk.start(client);
  assert.deepEqual(client.told, [["outcome", "1", "seen"]]);
});

test("an answer is told, drawn, and no longer counted; a second one is nothing", async (t) => {
  const { talk, view, client } = begun(t);
  client.come("message", question("1"));
  talk.answer("1", "Yes");
  talk.answer("1", "No");
  talk.dismiss("1");
  talk.accepted("1");
  assert.deepEqual(client.told, [["answer", "1", "Yes"]]);
  assert.equal(view.shown.get("1").fate, "answered");
  assert.equal(view.shown.get("1").response, "Yes");
  assert.deepEqual(view.unread, []);
  assert.deepEqual(view.said, ["You answered: Yes"]);
  client.settle({ status: "dropped" });
  await new Promise(setImmediate);
  assert.match(view.shown.get("1").trouble, /Not sent/);
});

test("what is done to a message that is not there is nothing", (t) => {
  const { talk, client } = begun(t);
  for (const deed of ["dismiss", "mute", "opened", "accepted"]) talk[deed]("9");
  talk.answer("9", "Yes");
  assert.deepEqual(client.told, []);
});

for (const [deed, outcome, fate] of [
  ["dismiss", "dismissed", undefined],
  ["mute", "muted", "muted"],
  ["accepted", "engaged", "accepted"],
]) {
  test(`${deed}: the server hears ${outcome}, once`, (t) => {
    const { talk, view, client } = begun(t);
    client.come("message", question("1"));
    talk[deed]("1");
    talk[deed]("1");
    assert.deepEqual(client.told, [["outcome", "1", outcome]]);
    assert.equal(view.shown.get("1")?.fate, fate);
    assert.equal(view.shown.has("1"), fate !== undefined);
  });
}

test("what was said is marked as waiting until it has got through", async (t) => {
  const { talk, view, client } = begun(t);
  void talk.say("Hi");
  await new Promise(setImmediate);
  assert.equal(view.shown.get("e1").isWaiting, true);
  client.come("settled", { id: "e1", delivery: { status: "kept" } });
  assert.equal(view.shown.get("e1").isWaiting, true);
  client.come("settled", { id: "e1", delivery: { status: "acknowledged" } });
  assert.equal(view.shown.get("e1").isWaiting, false);
  assert.equal(view.shown.get("e1").trouble, undefined);
});

test("what was said in an earlier life has got through unless it still waits", (t) => {
  const said = (id) => ({ kind: "said", id, text: "Hi", isWaiting: true });
  const conversation = new Conversation(undefined, "k");
  for (const id of ["1", "2"]) conversation.put(said(id));
  const [view, client] = [new View(), new Client()];
  client.queued = [{ id: "2" }];
  const talk = new Talk(conversation, view);
  t.after(() => talk.stop());
  talk.start(client);
  assert.deepEqual(
    talk.items.map(({ id, isWaiting }) => [id, isWaiting]),
    [
      ["1", false],
      ["2", true],
    ],
  );
});

test("pieces of an answer are drawn when it is worth it, and never over the whole", (t) => {
  const { view, client } = begun(t);
  client.come("chatDelta", { to: "7", text: "He" });
  client.come("chatDelta", { to: "7", text: "Hell" });
  assert.equal(view.due.length, 1);
  assert.equal(view.shown.size, 0);
  view.due.shift()();
  assert.deepEqual(view.shown.get("answer:7"), { kind: "answer", id: "answer:7", text: "Hell", isWriting: true });
  client.come("chatDelta", { to: "7", text: "Hello y" });
  client.come("message", { type: "chat_response", id: "m", to: "7", message: "Hello you" });
  view.due.shift()();
  assert.deepEqual(view.shown.get("answer:7"), { kind: "answer", id: "answer:7", text: "Hello you", isWriting: false });
});

test("an answer that fails says so where the question stands, and takes its pieces away", async (t) => {
  const { talk, view, client } = begun(t);
  void talk.say("Hi");
  await new Promise(setImmediate);
  client.come("chatDelta", { to: "e1", text: "He" });
  view.due.shift()();
  client.come("chatFailed", { to: "e1", message: "The model is away." });
  assert.equal(view.shown.get("e1").trouble, "The model is away.");
  assert.ok(!view.shown.has("answer:e1"));
});

test("what was answered elsewhere says so, what was taken back is gone, what is over stays as it is", (t) => {
  const { talk, view, client } = begun(t);
  for (const id of ["1", "2", "3"]) client.come("message", question(id));
  talk.answer("3", "Yes");
  client.come("withdrawn", { id: "1", reason: "answered" });
  client.come("withdrawn", { id: "2", reason: "cancelled" });
  client.come("withdrawn", { id: "3", reason: "answered" });
  assert.equal(view.shown.get("1").fate, "elsewhere");
  assert.ok(!view.shown.has("2"));
  assert.equal(view.shown.get("3").fate, "answered");
  assert.deepEqual(view.unread, []);
});

test("a message is of no use from its moment on, by the server's clock, also one of an earlier life", async (t) => {
  const item = (id, expiresAt) => ({ kind: "message", id, frame: question(id, { expiresAt }), isSeen: false });
  const { talk, view } = begun(t, { kept: [item("past", 1000), item("future", 2_000_000_000_000)] });
  const deadline = Date.now() + 10_000;
  while (view.shown.get("past").fate === undefined && Date.now() < deadline) await new Promise(setImmediate);
  assert.equal(view.shown.get("past").fate, "expired");
  assert.equal(talk.message("future").fate, undefined);
  assert.deepEqual(view.unread, ["future"]);
});

test("one without a text is for the application and is not shown, but code is", (t) => {
  const { view, client } = begun(t);
  client.come("message", { type: "sync", id: "1" });
  client.come("message", { type: "code_suggestion", id: "2", code: "x" });
  assert.deepEqual([...view.shown.keys()], ["2"]);
});

test("wishes are told as the protocol has them, and shown when the server says them", async (t) => {
  const { talk, view, client } = begun(t);
  talk.level("less");
  talk.snooze("quarter");
  talk.snooze("wake");
  talk.unmute("stuck");
  await new Promise(setImmediate);
  assert.deepEqual(client.told, [
    ["prefer", { level: "less" }],
    ["prefer", { snoozedUntil: new Date(client.now + 15 * 60_000).toISOString() }],
    ["prefer", { snoozedUntil: null }],
    ["prefer", { unmute: ["stuck"] }],
  ]);
  assert.equal(view.wishes, undefined);
  client.come("preferences", { level: "less" });
  assert.equal(view.wishes.level, "less");
});

test("to forget takes everything away here, and has the client forget", (t) => {
  const { talk, view, client } = begun(t);
  client.come("message", question("1"));
  talk.forget();
  assert.equal(view.shown.size, 0);
  assert.deepEqual(view.unread, []);
  assert.deepEqual(client.told, [["forget"]]);
});

test("what the server has erased is gone here as well", (t) => {
  const { talk, view, client } = begun(t);
  client.come("message", question("1"));
  client.come("chatDelta", { to: "7", text: "He" });
  client.state = { state: "offline", reason: "erased" };
  client.come("state", client.state);
  view.due.shift()();
  assert.equal(view.shown.size, 0);
  assert.deepEqual(talk.items, []);
  assert.deepEqual(view.unread, []);
  assert.match(view.line, /erased/);
});

test("a connection that is lost for another reason takes nothing away", (t) => {
  const { talk, client } = begun(t);
  client.come("message", question("1"));
  for (const reason of ["replaced", "unauthorized", "disconnected"]) {
    client.state = { state: "offline", reason };
    client.come("state", client.state);
  }
  assert.equal(talk.items.length, 1);
});

test("a conversation that was stopped hears and shows nothing more", (t) => {
  const { talk, view, client } = begun(t);
  client.come("chatDelta", { to: "7", text: "He" });
  talk.stop();
  view.due.shift()();
  client.come("message", question("1"));
  assert.equal(view.shown.size, 0);
  assert.equal(client.listeners.size, 0);
});
