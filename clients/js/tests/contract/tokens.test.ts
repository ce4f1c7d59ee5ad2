/** A real server that asks for tokens: those that end, those that are renewed before, those that are none of its own. */

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, before, describe, test } from "node:test";

import { TRANSPORTS, type Transport } from "../../src/states.js";
import { Person, statuses } from "../person.js";
import { RealServer } from "../real_server.js";

/** How often something was asked for, and when it was so often. */
class Counter {
  private times = 0;
  private readonly watchers = new Map<number, () => void>();

  count(): number {
    this.times += 1;
    this.watchers.get(this.times)?.();
    return this.times;
  }

  reaches(times: number): Promise<void> {
    return new Promise((resolve) => (this.times >= times ? resolve() : this.watchers.set(times, resolve)));
  }
}

describe("a server with tokens", () => {
  const secret = "a secret of thirty-two bytes or more, for tests alone";
  let server: RealServer;
  before(async () => {
    const settings = "auth: {tokens: {algorithm: HS256, leeway: 1s}}\n";
    server = await RealServer.start(settings, { PROACTIVE_AUTH_TOKENS_SECRET: secret });
  });
  after(() => server.close());

  async function onEach(
    transports: readonly Transport[],
    play: (transport: Transport, addresses: RealServer["addresses"]) => Promise<void>,
  ): Promise<void> {
    await Promise.all(transports.map((transport) => play(transport, server.addresses)));
  }

  function token(user: string, lastsS: number, key = secret): string {
    const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
    const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part({ sub: user, exp: Math.floor(Date.now() / 1000) + lastsS })}`;
    return `${signed}.${createHmac("sha256", key).update(signed).digest("base64url")}`;
  }

  test("a fresh token is brought before the one there is ends, and the connection never seems to be gone", () =>
    onEach(TRANSPORTS, async (transport, addresses) => {
      const fetches = new Counter();
      const ways = { transports: [transport], token: () => token("ida", fetches.count() === 3 ? 3600 : 6) };
      const ida = await new Person({ clientId: transport, ...addresses, ...ways }).connected(transport);
      const told = [ida.client.send({ type: "did" })];
      await fetches.reaches(3); // when the first one ended some time ago
      told.push(ida.client.send({ type: "did" }));
      assert.deepEqual(await statuses(told), ["acknowledged", "acknowledged"]);
      assert.deepEqual(
        ida.states.map(({ state }) => state),
        ["reconnecting", transport === "websocket" ? "connected" : "fallback"],
      );
      ida.client.leave();
    }));

  // Of a poll that waits, only the next request would be refused.
  test("where none is to be had before the end it is come back with one, and the session goes on", () =>
    onEach(["websocket", "sse"], async (transport, addresses) => {
      const first = token("pia", 1);
      let hasEnded = false;
      const ways = { transports: [transport], token: () => (hasEnded ? token("pia", 3600) : first) };
      const pia = await new Person({ clientId: transport, ...addresses, ...ways }).connected(transport);
      pia.client.on("state", () => (hasEnded = true));
      await pia.until(() => hasEnded);
      await pia.connected(transport);
      assert.deepEqual(await statuses([pia.client.send({ type: "did" })]), ["acknowledged"]);
      assert.equal(
        pia.states.some(({ state }) => state === "offline"),
        false,
      );
      pia.client.leave();
    }));

  test("a token that is none of the server's is the end, without a storm of tries", () =>
    onEach(TRANSPORTS, async (transport, addresses) => {
      let fetched = 0;
      const fetchToken = (): string => {
        fetched += 1;
        return token("quin", 3600, "another secret, of thirty-two bytes as well");
      };
      const quin = new Person({ clientId: transport, ...addresses, transports: [transport], token: fetchToken });
      quin.client.connect();
      await quin.until(() => quin.client.state.state === "offline" && quin.states.length > 0);
      const { state } = quin.client;
      assert.equal(state.state === "offline" && state.reason, "unauthorized");
      assert.equal(fetched, 3);
    }));

  test("a fixed token that is refused is tried once", async () => {
    const rex = new Person({ ...server.addresses, token: token("rex", -60) });
    rex.client.connect();
    await rex.until(() => rex.client.state.state === "offline" && rex.states.length > 0);
    assert.deepEqual(
      rex.states.map(({ state }) => state),
      ["reconnecting", "offline"],
    );
  });
});
