/** The connection of a window, with a real disk and a server that only says welcome and takes what it is told. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { cpSync, readdirSync, rmSync, utimesSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import type { ClientEvent } from "@proactive/client";
import type { Item, Said } from "@proactive/widget/conversation.js";
import type { Talk } from "@proactive/widget/talk.js";
import { WebSocketServer } from "ws";
import { Connection, type ConnectionOptions } from "../../src/connection.js";
import { BEAT_MS } from "../../src/place.js";
import type { ConnectionSettings } from "../../src/settings.js";
import { folderFor } from "./folder.js";

const NOBODY = "ws://127.0.0.1:9";

interface Door {
  readonly url: string;
  /** What was told, of whoever. */
  readonly told: ClientEvent[];
  isShut: boolean;
}

/** As whom each connection is welcome, by what its `hello` says. */
async function server(t: TestContext): Promise<Door> {
  const told: ClientEvent[] = [];
  const listening = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  t.after(() => {
    for (const socket of listening.clients) socket.terminate();
    listening.close();
  });
  listening.on("connection", (socket) => {
    if (door.isShut) return socket.terminate();
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
  const door = { url: `ws://127.0.0.1:${(listening.address() as AddressInfo).port}`, told, isShut: false };
  return door;
}

class Window {
  settings: ConnectionSettings = { webSocketUrl: NOBODY, user: "" };
  token: string | undefined;
  isUnwanted: (event: ClientEvent) => boolean = () => false;
  talk: Talk | undefined;
  drawn = (): void => undefined;
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
        draw: () => this.drawn(),
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

test("what is seen to wait outlives a process that is killed in that moment", async (t) => {
  const { url, told } = await server(t);
  const [root, found] = [folderFor(t), join(folderFor(t), "found")];
  const former = new Window(t, root);
  await former.connection.start();
  former.connection.tell({ type: "file.saved" });
  const seen = new Promise<void>((resolve) => (former.drawn = resolve));
  void former.talk?.say("hello");
  await seen;
  // As the disk is now; nothing is written on the way out.
  cpSync(root, found, { recursive: true });
  rmSync(join(found, "0", "lock"));

  const latter = new Window(t, found);
  latter.settings = { webSocketUrl: url, user: "" };
  await latter.connection.start();
  assert.equal(latter.said()[0]?.isWaiting, true);
  await until(() => latter.said()[0]?.isWaiting === false);
  assert.deepEqual(
    told.map(({ type }) => type),
    ["file.saved", "chat_message"],
  );
});

test("what a former process holds for longer than anybody waits is found when it is gone", async (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const root = folderFor(t);
  const door = await server(t);
  const [former, latter] = [new Window(t, root), new Window(t, root)];
  const texts = (): readonly string[] => latter.said().map(({ text }) => text);
  const beat = (): void => t.mock.timers.tick(BEAT_MS);
  door.isShut = true;
  for (const window of [former, latter]) window.settings = { webSocketUrl: door.url, user: "ann" };
  await former.connection.start();
  void former.talk?.say("before");
  await until(() => former.said().length === 1);
  await latter.connection.start();
  assert.deepEqual(texts(), []);

  door.isShut = false;
  await latter.connection.start();
  void latter.talk?.say("meanwhile");
  await until(() => latter.said()[0]?.isWaiting === false);
  beat();
  former.connection.dispose();
  beat();
  await latter.connection.start();
  assert.deepEqual(texts(), ["meanwhile"], "a window that is loaded anew is just about to come back");

  const old = new Date(Date.now() - 2 * 60_000);
  utimesSync(join(root, "0"), old, old);
  door.isShut = true;
  await latter.connection.start();
  void latter.talk?.say("away");
  await until(() => texts().length === 2);
  beat();
  await latter.connection.start();
  assert.deepEqual(texts(), ["meanwhile", "away"], "what waits here comes first");

  door.isShut = false;
  await latter.connection.start();
  await until(() => latter.said().every(({ isWaiting }) => !isWaiting));
  await until(() => {
    beat();
    return texts().length === 3;
  });
  assert.deepEqual(texts(), ["before", "meanwhile", "away"]);
  await until(() => latter.said().every(({ isWaiting }) => !isWaiting));
  const chats = door.told.flatMap((event) => (event.type === "chat_message" ? [event.message] : []));
  assert.deepEqual(chats, ["meanwhile", "away", "before"]);
  assert.deepEqual(readdirSync(join(root, "1")), ["server"]);
});
