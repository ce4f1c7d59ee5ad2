/** What happens to a user over a day, against a real server: shut doors, other devices, an erasure. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { Person, statuses } from "../person.js";
import { RealServer } from "../real_server.js";
import { MemoryStorage } from "../virtual_time.js";

const STABLE_MS = 60_000;

describe("a server without tokens", () => {
  let server: RealServer;
  before(async () => {
    server = await RealServer.start("limits: {client_events_per_s: 40, user_events_per_s: 40}\n");
  });
  after(() => server.close());

  test("where no WebSocket gets through it goes on over HTTP, and back up again, and nothing is lost or doubled", async () => {
    const ann = await new Person({ ...server.addresses }).connected("websocket");
    const told = [ann.client.send({ type: "did", n: 0 })];
    server.webSocketDoor.shut();
    await ann.connected("sse");
    assert.deepEqual(ann.states.map(({ state }) => state).slice(-2), ["reconnecting", "fallback"]);
    await server.say("ann", "m0");
    await ann.until(() => ann.shown.length === 1);

    // A try to get back that comes to nothing costs nothing.
    const turnedAway = server.webSocketDoor.turnsAway();
    ann.ahead += STABLE_MS;
    ann.hint("visible");
    told.push(ann.client.send({ type: "did", n: 1 }));
    await turnedAway;
    await server.say("ann", "m1");
    await ann.until(() => ann.shown.length === 2);
    assert.equal(ann.client.state.state, "fallback");

    server.webSocketDoor.open();
    ann.ahead += STABLE_MS;
    const spoken = Promise.all([server.say("ann", "m2"), server.say("ann", "m3")]);
    ann.hint("visible");
    told.push(ann.client.send({ type: "did", n: 2 }));
    await ann.connected("websocket");
    await spoken;
    told.push(ann.client.send({ type: "did", n: 3 }));
    await server.say("ann", "m4");
    assert.deepEqual(await statuses(told), Array(4).fill("acknowledged"));
    await ann.until(() => ann.shown.length === 5);
    assert.deepEqual([...ann.texts].sort(), ["m0", "m1", "m2", "m3", "m4"]);
    const happened = await server.events("ann", "did");
    assert.deepEqual(happened.map((event) => (event["data"] as { n: number }).n).sort(), [0, 1, 2, 3]);
    // One session all the while: to the rules the user has never been away.
    assert.equal((await server.events("ann", "session.start")).length, 1);
    ann.client.leave();
  });

  test("from long polling it comes back up as well, and its own requests do not throw it out", async () => {
    const hal = new Person({ ...server.addresses, user: "hal", transports: ["websocket", "poll"] });
    server.webSocketDoor.shut();
    await hal.connected("poll");
    await server.say("hal", "m0");
    await hal.until(() => hal.shown.length === 1);
    server.webSocketDoor.open();
    hal.ahead += STABLE_MS;
    hal.hint("visible");
    await hal.connected("websocket");
    await server.say("hal", "m1");
    await hal.until(() => hal.shown.length === 2);
    assert.deepEqual(hal.texts, ["m0", "m1"]);
    assert.equal((await server.events("hal", "session.start")).length, 1);
    hal.client.leave();
  });

  test("events over the rate wait as long as the server says, and all arrive", async () => {
    const ivy = await new Person({ ...server.addresses, user: "ivy" }).connected("websocket");
    // Ten seconds' worth may come at once.
    const told = Array.from({ length: 440 }, (_, n) => ivy.client.send({ type: "did", n }));
    assert.deepEqual(new Set(await statuses(told)), new Set(["acknowledged"]));
    const happened = await server.events("ivy", "did");
    assert.equal(new Set(happened.map(({ id }) => id)).size, 440);
    assert.equal(happened.length, 440);
    ivy.client.leave();
  });

  test("what was told without a server is there after a restart of the client, and is sent once there is one", async () => {
    server.webSocketDoor.shut();
    server.httpDoor.shut();
    const storage = new MemoryStorage();
    const first = new Person({ ...server.addresses, user: "jon" }, storage);
    first.client.connect();
    const told = [first.client.send({ type: "did", n: 0 }), first.client.chat("are you there?")];
    await first.until(() => first.client.state.state === "reconnecting");
    first.client.disconnect();
    assert.deepEqual(await statuses(told), ["kept", "kept"]);
    const waiting = new Person({ ...server.addresses, user: "jon" }, storage).client.queued;
    assert.deepEqual(
      waiting.map(({ id, event }) => [id, event.type]),
      [
        [told[0]?.id, "did"],
        [told[1]?.id, "chat_message"],
      ],
    );
    server.webSocketDoor.open();
    server.httpDoor.open();
    const second = await new Person({ ...server.addresses, user: "jon" }, storage).connected("websocket");
    await second.until(() => second.client.pending === 0 && second.shown.length === 1);
    assert.equal(second.shown[0]?.["to"], told[1]?.id);
    assert.equal((await server.events("jon", "did")).length, 1);

    // The next one takes the session up again, and shows nothing a second time.
    second.client.disconnect();
    const third = await new Person({ ...server.addresses, user: "jon" }, storage).connected("websocket");
    await server.say("jon", "fresh");
    await third.until(() => third.shown.length === 1);
    assert.deepEqual(third.texts, ["fresh"]);
    assert.equal((await server.events("jon", "session.start")).length, 1);
    third.client.leave();
  });

  test("a message that expires while the one before it is being looked at is not shown", async () => {
    const kim = await new Person({ ...server.addresses, user: "kim" }).connected("websocket");
    let release: () => void = () => undefined;
    kim.busy = new Promise((resolve) => {
      release = resolve;
    });
    await server.say("kim", "first");
    await kim.until(() => kim.shown.length === 1);
    await server.say("kim", "expires", { expires: "1h" });
    await server.say("kim", "last", { expires: "3h" });
    // What is acknowledged after the messages shows that they are there.
    await statuses([kim.client.send({ type: "did" })]);
    kim.ahead += 2 * 3600 * 1000;
    release();
    await kim.until(() => kim.shown.length === 2);
    assert.deepEqual(kim.texts, ["first", "last"]);
    kim.client.leave();
  });

  test("a server that goes away properly is come back to", async () => {
    const mia = await new Person({ ...server.addresses, user: "mia" }).connected("websocket");
    await server.kill("SIGTERM");
    await mia.until(() => mia.client.state.state === "reconnecting");
    const state = mia.states.find((one) => one.state === "reconnecting" && one.reason === "lost");
    assert.equal(state?.state === "reconnecting" && state.ending?.why, "going_away");
    await server.run();
    await mia.connected("websocket");
    mia.client.leave();
  });

  test("whoever is erased on the server is forgotten here as well", async () => {
    const ned = await new Person({ ...server.addresses, user: "ned" }).connected("websocket");
    await statuses([ned.client.send({ type: "did" })]);
    await server.request("DELETE", "/users/ned");
    await ned.until(() => ned.client.state.state === "offline");
    const { state } = ned.client;
    assert.equal(state.state === "offline" && state.reason, "erased");
    assert.deepEqual([...ned.storage.values.keys()], []);
  });

  test("what a server cannot make sense of in hello is the end, and says why", async () => {
    const odd = new Person({ ...server.addresses, user: "odd", timezone: "Nowhere/At All" });
    odd.client.connect();
    await odd.until(() => odd.client.state.state === "offline" && odd.states.length > 0);
    const { state } = odd.client;
    assert.equal(state.state === "offline" && state.reason, "refused");
    assert.match((state.state === "offline" && state.ending?.detail) || "", /bad_frame/);
  });
});
