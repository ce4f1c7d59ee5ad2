/** The connection of a window, with a real disk and a server that only says welcome and takes what it is told. */

import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import type { ClientEvent } from "@proactive/client";
import type { Item, Said } from "@proactive/widget/conversation.js";
import type { Talk } from "@proactive/widget/talk.js";
import { WebSocketServer } from "ws";
import { Connection, type ConnectionOptions } from "../../src/connection.js";
import type { ConnectionSettings } from "../../src/settings.js";
import { folderFor } from "./folder.js";

const NOBODY = "ws://127.0.0.1:9";

/** As whom each connection is welcome, by what its `hello` says; `told` has what was told, of whoever. */
async function server(t: TestContext): Promise<{ readonly url: string; readonly told: ClientEvent[] }> {
  const told: ClientEvent[] = [];
  const listening = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  t.after(() => {
    for (const socket of listening.clients) socket.terminate();
    listening.close();
  });
  listening.on("connection", (socket) => {
    const say = (frame: object): void => socket.send(JSON.stringify(frame));
    socket.on("message", (data) => {
      const frame = JSON.parse(String(data)) as ClientEvent & { readonly user?: string; readonly id?: string };
      if (frame.type === "hello") {
        const { user = "ann" } = frame;
        say({ type: "welcome", session: "s", user, serverTime: 0, heartbeat: 20, resumed: false, limits: {} });
      } else if (frame.id !== undefined) {
        told.push(frame);
        say({ type: "ack", ids: [frame.id] });
      }
    });
  });
  await once(listening, "listening");
  return { url: `ws://127.0.0.1:${(listening.address() as AddressInfo).port}`, told };
}

class Window {
  settings: ConnectionSettings = { webSocketUrl: NOBODY, user: "" };
  token: string | undefined;
  isUnwanted: (event: ClientEvent) => boolean = () => false;
  talk: Talk | undefined;
  readonly warnings: string[] = [];
  readonly connection: Connection;

  constructor(t: TestContext, root: string) {
    const nothing = (): void => undefined;
    const log = { state: nothing, problem: nothing, info: nothing, warn: (line: string) => this.warnings.push(line) };
    this.connection = new Connection({
      root,
      window: "w",
      log: log as unknown as ConnectionOptions["log"],
      settings: () => this.settings,
      token: async () => this.token,
      hints: () => nothing,
      isUnwanted: (event) => this.isUnwanted(event),
      view: {
        draw: nothing,
        erase: nothing,
        arrived: nothing,
        announce: nothing,
        showUnread: nothing,
        showState: nothing,
        showWishes: nothing,
        isLooked: () => false,
        soon: nothing,
      },
      show: (talk) => {
        this.talk = talk;
        talk.show();
      },
    });
    t.after(() => this.connection.dispose());
  }

  said(): readonly Said[] {
    return (this.talk?.items ?? []).filter((item: Item): item is Said => item.kind === "said");
  }
}

async function until(holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!holds() && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.ok(holds());
}

test("what a guest said is not sent in another's name, and does not count as sent with the guest", async (t) => {
  const { url, told } = await server(t);
  const window = new Window(t, folderFor(t));
  await window.connection.start();
  void window.talk?.say("my own words");
  await until(() => window.said().length === 1);
  assert.equal(window.said()[0]?.isWaiting, true);

  window.settings = { webSocketUrl: url, user: "" };
  window.token = `x.${Buffer.from('{"sub":"ann"}').toString("base64url")}.x`;
  await window.connection.start();
  window.connection.tell({ type: "file.saved" });
  await until(() => told.length === 1);
  assert.deepEqual(window.said(), []);
  assert.equal(told[0]?.type, "file.saved");

  window.token = undefined;
  await window.connection.start();
  assert.equal(window.said()[0]?.isWaiting, false);
  assert.match(window.said()[0]?.trouble ?? "", /^Not sent/);
});

test("what waits and is not wanted any more is not told, also after a restart; what was said is", async (t) => {
  const { url, told } = await server(t);
  const root = folderFor(t);
  const former = new Window(t, root);
  await former.connection.start();
  for (const type of ["file.saved", "test.failed"]) former.connection.tell({ type });
  void former.talk?.say("hello");
  await until(() => former.said().length === 1);
  former.isUnwanted = ({ type }) => type === "file.saved";
  former.connection.dropUnwanted();
  former.connection.tell({ type: "file.saved" });
  assert.deepEqual(former.warnings, []);
  former.connection.dispose();

  const latter = new Window(t, root);
  latter.isUnwanted = ({ type }) => type === "file.saved" || type === "test.failed";
  latter.settings = { webSocketUrl: url, user: "" };
  await latter.connection.start();
  await until(() => latter.said()[0]?.isWaiting === false);
  assert.deepEqual(
    told.map(({ type }) => type),
    ["chat_message"],
  );
});
