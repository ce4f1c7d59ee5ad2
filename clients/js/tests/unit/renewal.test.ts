/** A token that ends, and what is done before: in virtual time. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import type { ClientOptions } from "../../src/index.js";
import { APART_MS, EARLY_MS, Renewal } from "../../src/renewal.js";
import { Device } from "../device.js";
import { FakeServer } from "../fake_server.js";
import { seeded, VirtualTime } from "../virtual_time.js";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

for (const [leftMs, random, earlyMs] of [
  [HOUR_MS, 0, EARLY_MS / 2],
  [HOUR_MS, 0.999, EARLY_MS * 0.9995],
  [8000, 0, 1000],
  [8000, 0.5, 1500],
  [1001, 0.5, 1],
] as const) {
  test(`of a token that holds ${leftMs} ms, ${earlyMs} ms are left, with ${random}`, () => {
    const renewal = new Renewal(() => random);
    renewal.begin(1000, leftMs);
    assert.equal(renewal.at, 1000 + leftMs - earlyMs);
  });
}

test("a try that came to nothing is made again, a bounded number of times, and not after the end", () => {
  const renewal = new Renewal(() => 0);
  renewal.begin(0, HOUR_MS);
  const tries = [];
  for (let at = renewal.at; at !== undefined; at = renewal.at) {
    tries.push(HOUR_MS - at);
    renewal.again(at);
  }
  assert.deepEqual(tries.slice(0, 3), [30_000, 22_500, 16_875]);
  assert.ok(tries.length < 25, String(tries.length));
  assert.ok((tries.at(-1) ?? 0) > 0);
});

test("of a token that holds for a second or less nothing is renewed: its end is waited for", () => {
  const renewal = new Renewal(() => 0.5);
  for (const leftMs of [0, 1, APART_MS]) {
    renewal.begin(5000, leftMs);
    assert.equal(renewal.at, undefined);
  }
});

test("where no token ends there is nothing to renew", () => {
  const renewal = new Renewal(() => 0);
  renewal.begin(0, undefined);
  assert.equal(renewal.at, undefined);
});

interface World {
  readonly time: VirtualTime;
  readonly server: FakeServer;
  readonly device: Device;
  /** The timers that were asked for, in milliseconds. */
  readonly timers: number[];
}

async function world(lifeMs: number, more: Partial<ClientOptions>): Promise<World> {
  const time = new VirtualTime();
  const random = seeded(2);
  const server = new FakeServer(time, random);
  server.tokenLifeMs = lifeMs;
  const timers: number[] = [];
  const setTimer = (call: () => void, ms: number): (() => void) => {
    timers.push(ms);
    return time.after(ms, call);
  };
  const device = new Device(time, server, random, { ...more, platform: { setTimer } });
  await time.pass(1000);
  return { time, server, device, timers };
}

for (const transport of ["websocket", "sse", "poll"] as const) {
  describe(`over ${transport}`, () => {
    test("a client that stays for a day is connected all the time, and what is said meanwhile comes once", async () => {
      let fetched = 0;
      const token = (): string => `t${(fetched += 1)}`;
      const { time, server, device } = await world(HOUR_MS, { token, transports: [transport] });
      for (let hour = 0; hour < 24; hour++) {
        device.tell(`did.${hour}`);
        server.say(`m${hour}`);
        await time.pass(HOUR_MS);
      }
      assert.deepEqual(device.words(), ["reconnecting", transport === "websocket" ? "connected" : "fallback"]);
      assert.equal(fetched, 25);
      assert.equal(device.shown.length, 24);
      assert.deepEqual(
        device.told.map((id) => server.happened.get(id)),
        device.told.map(() => 1),
      );
      assert.equal(server.isOwed, false);
    });

    test("a function that gives the same token for a while costs no connection, and is asked again", async () => {
      const given: string[] = [];
      const token = (): string => {
        // As one that keeps its token to the last ten seconds of its hour.
        const name = `t${Math.floor((device?.time.now ?? 0) / (HOUR_MS - 10_000))}`;
        given.push(name);
        return name;
      };
      let device: World | undefined = undefined as World | undefined;
      device = await world(HOUR_MS, { token, transports: [transport] });
      await device.time.pass(2 * HOUR_MS);
      assert.deepEqual(device.device.words().slice(1), [transport === "websocket" ? "connected" : "fallback"]);
      assert.ok(given.length < 30, String(given.length));
      assert.equal(device.server.hellos, new Set(given).size);
    });
  });
}

test("a function that fails as a token is to be renewed is asked again, and nobody sees anything of it", async () => {
  let asked = 0;
  const token = (): Promise<string> => {
    asked += 1;
    return asked === 2 ? Promise.reject(new Error("no network")) : Promise.resolve(`t${asked}`);
  };
  const { time, device } = await world(HOUR_MS, { token });
  await time.pass(HOUR_MS + 1000);
  assert.equal(asked, 3);
  assert.deepEqual(device.words(), ["reconnecting", "connected"]);
});

test("where no token is to be had any more it says that it reconnects, and goes on trying", async () => {
  let asked = 0;
  const token = (): Promise<string> => {
    asked += 1;
    return asked === 1 ? Promise.resolve("t1") : Promise.reject(new Error("signed out"));
  };
  const { time, device } = await world(HOUR_MS, { token });
  await time.pass(2 * HOUR_MS);
  assert.equal(device.client.state.state, "reconnecting");
  assert.equal(device.words().includes("offline"), false);
});

test("a fixed token is not renewed: its end is the end", async () => {
  const { time, device } = await world(HOUR_MS, { token: "t1" });
  await time.pass(HOUR_MS + 1000);
  const { state } = device.client;
  assert.equal(state.state === "offline" && state.reason, "unauthorized");
});

test("a try for a better way and a fresh token do not get into each other's way", async () => {
  let fetched = 0;
  const time = new VirtualTime();
  const random = seeded(3);
  const server = new FakeServer(time, random);
  server.tokenLifeMs = 12_000;
  server.blocked.add("websocket");
  const device = new Device(time, server, random, { token: () => `t${(fetched += 1)}` });
  await time.pass(HOUR_MS);
  assert.deepEqual(device.words(), ["reconnecting", "fallback"]);
  server.blocked.clear();
  await time.pass(HOUR_MS);
  assert.equal(device.client.state.state, "connected");
  assert.deepEqual(device.words(), ["reconnecting", "fallback", "connected"]);
});

test("no timer is asked for a time that timers cannot wait for", async () => {
  let fetched = 0;
  const token = (): string => `t${(fetched += 1)}`;
  const { time, timers, device } = await world(100 * DAY_MS, { token, transports: ["poll"] });
  await time.pass(100 * DAY_MS);
  assert.ok(Math.max(...timers) <= 2 ** 31 - 1, String(Math.max(...timers)));
  assert.equal(fetched, 2);
  assert.deepEqual(device.words(), ["reconnecting", "fallback"]);
});
