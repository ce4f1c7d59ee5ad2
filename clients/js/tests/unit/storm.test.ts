/** Whatever the network does, nothing acknowledged is lost or doubled, and nothing is shown twice. */

import assert from "node:assert/strict";
import { test } from "node:test";

import type { Transport } from "../../src/index.js";
import { Device } from "../device.js";
import { FakeServer } from "../fake_server.js";
import { seeded, VirtualTime } from "../virtual_time.js";

const SEEDS = Number(process.env["STORM_SEEDS"] ?? 150);
const STEPS = 80;
const WAYS: readonly Transport[] = ["websocket", "sse", "poll"];

async function storm(seed: number): Promise<{ device: Device; server: FakeServer }> {
  const random = seeded(seed);
  const time = new VirtualTime();
  const server = new FakeServer(time, random);
  // Of some users the token ends every half a minute.
  const hasToken = seed % 3 === 0;
  let tokens = 0;
  const device = new Device(time, server, random, hasToken ? { token: () => `t${(tokens += 1)}` } : {});
  if (hasToken) server.tokenLifeMs = 30_000;
  server.latencyMs = [5, 50, 400, 4000][seed % 4] ?? 50;
  for (let step = 0; step < STEPS; step++) {
    disturb(Math.floor(random() * 16), step, device, server, random);
    await time.pass(Math.floor(random() ** 3 * 20_000));
  }
  // Then the weather clears up.
  server.isUp = true;
  server.blocked.clear();
  server.refusals = [];
  server.latencyMs = 20;
  device.hint("online");
  await time.pass(20 * 60_000);
  return { device, server };
}

function disturb(what: number, step: number, device: Device, server: FakeServer, random: () => number): void {
  const way = WAYS[Math.floor(random() * WAYS.length)] ?? "poll";
  if (what < 4) device.tell(`did.${step}`);
  else if (what < 7) server.say(`m${step}`);
  else if (what === 7) server.cut();
  else if (what === 8) server.blocked.add(way);
  else if (what === 9 || what === 10) server.blocked.delete(way);
  else if (what === 11) server.crash(random() < 0.5);
  else if (what === 12) server.isUp = true;
  else if (what === 13) device.hint(random() < 0.5 ? "offline" : "online");
  else if (what === 14) server.refusals.push({ code: "rate_limited", retryAfter: 2 });
  else if (random() < 0.3) device.reload();
  else device.hint("visible");
}

test(`no schedule of ${SEEDS} loses or doubles an event, or shows a message twice or not at all`, async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { device, server } = await storm(seed);
    const where = `seed ${seed}`;
    assert.equal(device.client.state.state, "connected", `${where}: ${JSON.stringify(device.states.slice(-3))}`);
    assert.equal(
      device.states.find(
        (state) => state.state === "offline" && state.reason !== "no_network" && state.reason !== "disconnected",
      ),
      undefined,
      where,
    );
    assert.equal(device.client.pending, 0, `${where}: events wait`);
    assert.deepEqual(
      device.told.filter((id) => server.happened.get(id) !== 1),
      [],
      `${where}: events lost or doubled`,
    );
    assert.deepEqual(
      device.told.filter((id) => device.deliveries.get(id)?.status !== "acknowledged"),
      [],
      where,
    );
    assert.deepEqual(device.shown, [...new Set(device.shown)], `${where}: shown twice`);
    assert.deepEqual([...device.shown].sort(), [...server.sent].sort(), `${where}: not shown`);
    assert.equal(server.isOwed, false, `${where}: the server does not know what was received`);
  }
});
