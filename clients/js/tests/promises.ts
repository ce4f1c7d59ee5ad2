/** What is promised of each of the three ways to a real server. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import type { Transport } from "../src/states.js";
import { Person, statuses } from "./person.js";
import { RealServer } from "./real_server.js";

/** After so long a connection was no accident, and whoever replaces it is somebody else. */
const STABLE_MS = 60_000;

/** To be called once in a file of its own for each way, so that they run beside each other. */
export function keepsItsPromises(transport: Transport): void {
  describe(`over ${transport}`, () => {
    let server: RealServer;
    before(async () => {
      server = await RealServer.start();
    });
    after(() => server.close());

    const person = (user: string, more: { clientId?: string; transports?: Transport[] } = {}): Person =>
      new Person({ ...server.addresses, user, transports: [transport], ...more });

    test("events are acknowledged, happen once and in order", async () => {
      const ann = await person("ann").connected(transport);
      const told = Array.from({ length: 300 }, (_, n) => ann.client.send({ type: "step.done", n }));
      assert.deepEqual(new Set(await statuses(told)), new Set(["acknowledged"]));
      const happened = await server.events("ann", "step.done");
      assert.deepEqual(
        happened.map((event) => (event["data"] as { n: number }).n),
        Array.from({ length: 300 }, (_, n) => n),
      );
      ann.client.leave();
    });

    test("messages come once and in order, and the server learns that they came", async () => {
      const bob = await person("bob").connected(transport);
      for (let n = 0; n < 20; n++) await server.say("bob", `m${n}`);
      await bob.until(() => bob.shown.length === 20);
      assert.deepEqual(
        bob.texts,
        Array.from({ length: 20 }, (_, n) => `m${n}`),
      );
      // An event behind the last `received` (or, of who polls, the next request) shows that the server has it.
      while ((await server.waiting("bob")).length > 0) await statuses([bob.client.send({ type: "looked" })]);
      bob.client.leave();
    });

    test("a chat message is answered", async () => {
      const cal = await person("cal").connected(transport);
      const { id } = cal.client.chat("hello there");
      await cal.until(() => cal.shown.length === 1);
      assert.equal(cal.shown[0]?.type, "chat_response");
      assert.equal(cal.shown[0]?.["to"], id);
      assert.match(cal.texts[0] ?? "", /hello there/);
      cal.client.leave();
    });

    test("an answer on one device withdraws the question on the other, and wishes reach both", async () => {
      const desk = await person("dan", { clientId: "desk" }).connected(transport);
      const phone = await person("dan", { clientId: "phone" }).connected(transport);
      await server.say("dan", "How is it going?", { type: "question", options: ["Fine", "Stuck"] });
      await desk.until(() => desk.shown.length === 1);
      await phone.until(() => phone.shown.length === 1);
      const question = desk.shown[0];
      assert.ok(question);
      assert.deepEqual(await statuses([desk.client.answer(question, "Fine")]), ["acknowledged"]);
      await phone.until(() => phone.withdrawn.length === 1);
      assert.equal(phone.withdrawn[0]?.id, question.id);
      desk.client.prefer({ level: "less", mute: ["tips"] });
      await phone.until(() => phone.preferences.at(-1)?.level === "less");
      assert.deepEqual(phone.preferences.at(-1)?.muted, ["tips"]);
      desk.client.leave();
      phone.client.leave();
    });

    test("what is answered elsewhere while a device is away is withdrawn there when it is back, once", async () => {
      const desk = await person("gus", { clientId: "desk" }).connected(transport);
      const phone = await person("gus", { clientId: "phone" }).connected(transport);
      await server.say("gus", "How is it going?", { type: "question", options: ["Fine", "Stuck"] });
      await Promise.all([desk, phone].map((one) => one.until(() => one.shown.length === 1)));
      while ((await server.waiting("gus")).length > 0) await statuses([phone.client.send({ type: "looked" })]);
      phone.client.disconnect();
      const question = desk.shown[0];
      assert.ok(question);
      assert.deepEqual(await statuses([desk.client.answer(question, "Fine")]), ["acknowledged"]);
      for (let time = 0; time < 2; time++) {
        await phone.connected(transport);
        await phone.until(() => phone.withdrawn.length === 1);
        // An event behind all that the resume brings.
        await statuses([phone.client.send({ type: "looked" })]);
        phone.client.disconnect();
      }
      assert.deepEqual(
        phone.withdrawn.map(({ id }) => id),
        [question.id],
      );
      desk.client.leave();
    });

    test("the same client elsewhere takes over, and the older one stays away", async () => {
      const old = await person("leo").connected(transport);
      old.ahead += STABLE_MS;
      const young = await person("leo").connected(transport);
      await old.until(() => old.client.state.state === "offline");
      const { state } = old.client;
      assert.equal(state.state === "offline" && state.reason, "replaced");
      assert.equal(young.client.state.state === "offline", false);
      assert.deepEqual(await statuses([young.client.send({ type: "did" })]), ["acknowledged"]);
      young.client.leave();
    });

    test("an outcome is taken, and what cannot be meant is refused without harm to others", async () => {
      const eve = await person("eve").connected(transport);
      await server.say("eve", "Look");
      await eve.until(() => eve.shown.length === 1);
      const message = eve.shown[0];
      assert.ok(message);
      const told = [
        eve.client.outcome(message, "seen"),
        eve.client.send({ type: "no such type!" }),
        eve.client.send({ type: "fine" }),
        eve.client.send({ type: "deep", nested: JSON.parse("[".repeat(40) + "]".repeat(40)) as unknown }),
        eve.client.send({ type: "fine.too" }),
        eve.client.send({ type: "large", text: "x".repeat(70_000) }),
      ];
      assert.deepEqual(await statuses(told), [
        "acknowledged",
        "refused",
        "acknowledged",
        "refused",
        "acknowledged",
        "refused",
      ]);
      const seen = await server.events("eve", "message.seen");
      assert.deepEqual(
        seen.map((event) => (event["data"] as { message_id: string }).message_id),
        [message.id],
      );
      eve.client.leave();
    });

    test("a server that is killed amid and comes back has all events once, and shows nothing twice", async () => {
      const fay = await person("fay").connected(transport);
      const told = Array.from({ length: 100 }, (_, n) => fay.client.send({ type: "did", n }));
      await server.say("fay", "before");
      await told[0]?.delivery;
      await server.kill();
      told.push(...Array.from({ length: 50 }, (_, n) => fay.client.send({ type: "did", n: 100 + n })));
      await fay.until(() => fay.client.state.state === "reconnecting");
      await server.run();
      await fay.connected(transport);
      await server.say("fay", "after");
      assert.deepEqual(new Set(await statuses(told)), new Set(["acknowledged"]));
      await fay.until(() => fay.shown.length >= 2);
      assert.deepEqual(fay.texts, ["before", "after"]);
      const happened = await server.events("fay", "did");
      const numbers = happened.map((event) => (event["data"] as { n: number }).n);
      assert.deepEqual(
        [...numbers].sort((a, b) => a - b),
        Array.from({ length: 150 }, (_, n) => n),
      );
      fay.client.leave();
    });
  });
}
