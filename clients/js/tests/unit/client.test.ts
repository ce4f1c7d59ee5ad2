/** What an application sees, in virtual time. */

import assert from "node:assert/strict";
import { test } from "node:test";

import type { ClientOptions, Message } from "../../src/index.js";
import { Device } from "../device.js";
import { FakeServer } from "../fake_server.js";
import { seeded, settle, VirtualTime } from "../virtual_time.js";

interface World {
  readonly time: VirtualTime;
  readonly server: FakeServer;
  readonly device: Device;
}

async function world(more: Partial<ClientOptions> = {}): Promise<World> {
  const time = new VirtualTime();
  const random = seeded(1);
  const server = new FakeServer(time, random);
  const device = new Device(time, server, random, more);
  await time.pass(1000);
  assert.equal(device.client.state.state, "connected");
  return { time, server, device };
}

test("a message is received when its listener's promise settles, and the next one comes after", async () => {
  const { time, server, device } = await world();
  const releases: (() => void)[] = [];
  device.client.on("message", () => new Promise<void>((resolve) => releases.push(resolve)));
  server.say("m1");
  server.say("m2");
  await time.pass(1000);
  assert.deepEqual(device.shown, ["m1"]);
  assert.deepEqual([...server.received], []);
  releases.shift()?.();
  await time.pass(1000);
  assert.deepEqual(device.shown, ["m1", "m2"]);
  assert.deepEqual([...server.received], ["m1"]);
});

test("a connection that is lost while a listener is busy does not show the message again", async () => {
  const { time, server, device } = await world();
  let release: () => void = () => undefined;
  const done = new Promise<void>((resolve) => {
    release = resolve;
  });
  device.client.on("message", () => done);
  server.say("m1");
  await time.pass(1000);
  server.cut();
  await time.pass(60_000);
  server.say("m2");
  release();
  await time.pass(1000);
  assert.deepEqual(device.shown, ["m1", "m2"]);
  assert.deepEqual([...server.received], ["m1", "m2"]);
});

test("a listener that throws is told of, and costs nobody a message", async () => {
  const { time, server, device } = await world();
  const off = device.client.on("message", () => {
    throw new Error("a fault of the application");
  });
  device.client.on("problem", () => Promise.reject(new Error("this one fails as well")));
  server.say("m1");
  await time.pass(1000);
  off();
  server.say("m2");
  await time.pass(1000);
  assert.deepEqual(device.shown, ["m1", "m2"]);
  assert.deepEqual([...server.received], ["m1", "m2"]);
  assert.deepEqual(device.problems, [{ what: "listener", detail: "Error: a fault of the application" }]);
});

test("a message that is withdrawn or expires before its turn is not shown", async () => {
  const { time, server, device } = await world();
  let release: () => void = () => undefined;
  device.client.on(
    "message",
    () =>
      new Promise<void>((resolve) => {
        release = resolve;
      }),
  );
  server.say("m1");
  server.say("m2");
  server.say("m3", { expiresAt: 30 });
  server.say("m4", { expiresAt: 90 });
  await time.pass(1000);
  server.tell({ type: "withdrawn", id: "m2", reason: "answered" });
  await time.pass(40_000);
  release();
  await time.pass(1000);
  release();
  await time.pass(1000);
  assert.deepEqual(device.shown, ["m1", "m4"]);
  assert.equal(server.isOwed, false);
});

test("messages wait for the first listener", async () => {
  const time = new VirtualTime();
  const server = new FakeServer(time, seeded(1));
  const device = new Device(time, server, seeded(1), {});
  device.client.disconnect();
  const { ProactiveClient } = await import("../../src/index.js");
  const client = new ProactiveClient({
    clientId: "phone",
    webSocketUrl: "ws://server.invalid",
    storage: null,
    platform: {
      now: () => time.now,
      wallNow: () => time.now,
      setTimer: (call, ms) => time.after(ms, call),
      WebSocket: class {
        readonly readyState = 3;
        send(): void {}
        close(): void {}
        addEventListener(): void {}
      },
    },
    openLink: (transport, _addresses, _token, _platform, events) => server.connect(transport, events),
  });
  client.connect();
  await time.pass(1000);
  server.say("m0", { expiresAt: 30 });
  server.say("m1");
  server.say("m2", { expiresAt: 30 });
  await time.pass(60_000);
  assert.equal(server.isOwed, true);
  const shown: string[] = [];
  client.on("message", (message: Message) => shown.push(message.id));
  await time.pass(1000);
  assert.deepEqual(shown, ["m1"]);
  assert.equal(server.isOwed, false);
});

test("pieces of an answer add up; after a reconnection only the whole is shown", async () => {
  const { time, server, device } = await world();
  const pieces: string[] = [];
  device.client.on("chatDelta", ({ text }) => pieces.push(text));
  const first = device.client.chat("one");
  const second = device.client.chat("two");
  await time.pass(1000);
  for (const delta of ["In ", "a ", "loop."]) server.tell({ type: "chat_response_delta", delta, to: first.id });
  server.tell({ type: "chat_response_delta", delta: "No", to: second.id });
  server.tell({ type: "chat_response_delta", delta: "somebody else's", to: "unknown" });
  await time.pass(1000);
  server.cut();
  await time.pass(60_000);
  server.tell({ type: "chat_response_delta", delta: " hole", to: second.id });
  await time.pass(1000);
  assert.deepEqual(pieces, ["In ", "In a ", "In a loop.", "No"]);
});

test("a chat message that cannot be answered is told of, though it was acknowledged", async () => {
  const { time, server, device } = await world();
  const failures: unknown[] = [];
  device.client.on("chatFailed", (failure) => failures.push(failure));
  const { id, delivery } = device.client.chat("hello");
  await time.pass(1000);
  server.tell({ type: "error", code: "responder_failed", message: "No answer came.", frameId: id });
  await time.pass(1000);
  assert.deepEqual(failures, [{ to: id, code: "responder_failed", message: "No answer came." }]);
  assert.deepEqual(await delivery, { status: "acknowledged" });
});

test("an outcome counts as taken when a later event is acknowledged, or a later ping answered", async () => {
  const { time, device, server } = await world();
  const first = device.client.outcome({ id: "m1" }, "seen");
  await time.pass(1000);
  assert.equal(device.client.pending, 1);
  device.tell("did");
  await time.pass(1000);
  assert.deepEqual(await first.delivery, { status: "acknowledged" });
  const second = device.client.outcome({ id: "m1" }, "dismissed", "not now");
  await time.pass(server.heartbeat * 1000 + 2000);
  assert.deepEqual(await second.delivery, { status: "acknowledged" });
  assert.deepEqual(server.outcomes, ["m1 seen", "m1 dismissed"]);
});

test("an outcome of which nobody knows whether it arrived is said again", async () => {
  const { time, device, server } = await world();
  const { delivery } = device.client.outcome({ id: "m1" }, "dismissed");
  server.cut();
  await time.pass(60_000);
  assert.ok(server.outcomes.length >= 1);
  assert.deepEqual(await delivery, { status: "acknowledged" });
});

test("what is refused for good is told, and what is refused for now is sent again after its time", async () => {
  const { time, device, server } = await world();
  server.refusals = [{ code: "bad_frame" }, { code: "not_stored", retryAfter: 5 }];
  const bad = device.tell("bad");
  const later = device.tell("later");
  await time.pass(4000);
  assert.equal(device.deliveries.get(bad)?.status, "refused");
  assert.equal(device.deliveries.get(later), undefined);
  await time.pass(3000);
  assert.equal(device.deliveries.get(later)?.status, "acknowledged");
});

test("a gap in the numbers is no reason to trust the rest: it comes back and gets all", async () => {
  const { time, device, server } = await world();
  server.tell({ type: "backend_message", messageType: "suggestion", message: "?", timestamp: 0, id: "stray", seq: 7 });
  server.say("m1");
  await time.pass(60_000);
  assert.deepEqual(device.shown, ["m1"]);
  assert.deepEqual(device.words().slice(-2), ["reconnecting", "connected"]);
  assert.equal(server.isOwed, false);
});

test("whoever signs in on the same device does not speak for who was there before", async () => {
  const { time, device, server } = await world();
  server.crash(true);
  const id = device.tell("ann.did");
  await time.pass(1000);
  const kept = [...device.storage.values.entries()].find(([, value]) => value.includes(id));
  assert.ok(kept);
  device.storage.setItem(kept[0], kept[1].replace('"user":"ann"', '"user":"bob"'));
  device.reload();
  server.isUp = true;
  await time.pass(60_000);
  assert.equal(device.deliveries.get(id)?.status, "dropped");
  assert.equal(server.happened.has(id), false);
});

test("a server that falls silent is noticed after two heartbeats, and after a sleep within seconds", async () => {
  const { time, device, server } = await world();
  server.latency = () => 10_000_000;
  await time.pass(2 * server.heartbeat * 1000 - 1500);
  assert.equal(device.client.state.state, "connected");
  await time.pass(2500);
  assert.equal(device.client.state.state === "connected", false);

  const other = await world();
  other.server.latency = () => 10_000_000;
  other.device.hint("visible");
  await other.time.pass(6000);
  assert.equal(other.device.client.state.state === "connected", false);
});

test("a token is fetched for every connection, and a fetch that fails is tried again", async () => {
  let asked = 0;
  const { time, device, server } = await world({
    token: () => {
      asked += 1;
      return asked === 2 ? Promise.reject(new Error("no network")) : Promise.resolve(`t${asked}`);
    },
  });
  assert.equal(asked, 1);
  server.cut();
  await time.pass(60_000);
  assert.equal(asked, 3);
  assert.equal(device.client.state.state, "connected");
});

test("an event that no frame can hold is refused at once; one at the limit is not", async () => {
  const { time, device } = await world();
  const fits = device.client.send({ type: "did", text: "x".repeat(65_400) });
  const large = device.client.send({ type: "did", text: "é".repeat(33_000) });
  await settle();
  assert.equal((await large.delivery).status, "refused");
  await time.pass(1000);
  assert.equal((await fits.delivery).status, "acknowledged");
});

test("what waits and is not wanted any more is never sent, and the rest is", async () => {
  const { time, server, device } = await world();
  server.crash(true);
  await time.pass(1000);
  const [gone, kept] = [device.tell("file.saved"), device.tell("test.failed")];
  device.client.drop(({ type }) => type === "file.saved");
  assert.deepEqual(device.deliveries.get(gone), { status: "dropped" });
  assert.equal(device.client.pending, 1);
  device.reload();
  server.isUp = true;
  await time.pass(120_000);
  assert.deepEqual([...server.happened.keys()], [kept]);
});

test("a client that has forgotten goes on: it hears, and what is said is sent", async () => {
  const { time, server, device } = await world();
  server.say("m1");
  await time.pass(1000);
  device.client.forget();
  const { delivery } = device.client.chat("still there?");
  await time.pass(60_000);
  assert.equal(device.client.pending, 0);
  assert.equal((await delivery).status, "acknowledged");
  server.say("m2");
  await time.pass(1000);
  assert.deepEqual(device.shown.at(-1), "m2");
  assert.equal(device.client.state.state, "connected");
});

test("a client without a way to any server is an error that says what to give", async () => {
  const { ProactiveClient } = await import("../../src/index.js");
  assert.throws(() => new ProactiveClient({ clientId: "x" }), /webSocketUrl/);
});
