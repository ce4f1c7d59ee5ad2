/** The two ways over HTTP by themselves: which requests are made, and what becomes of their replies. */

import assert from "node:assert/strict";
import { test } from "node:test";

import type { Ending } from "../../src/closing.js";
import type { ClientFrame, Hello, ServerFrame } from "../../src/frames.js";
import type { LinkEvents } from "../../src/link.js";
import { openLink } from "../../src/open_link.js";
import { platformWith } from "../../src/platform.js";
import { VirtualTime } from "../virtual_time.js";

interface Asked {
  readonly what: string;
  readonly body: unknown;
  readonly token: string | null;
  readonly reply: (status: number, value: unknown, headers?: Record<string, string>) => void;
  readonly stream: () => ReadableStreamDefaultController<Uint8Array>;
  readonly fail: () => void;
}

const HELLO: Hello = { type: "hello", protocol: 1, clientId: "laptop", resume: { session: "s1", received: 7 } };
const WELCOME = {
  type: "welcome",
  session: "s1",
  user: "ann",
  serverTime: 0,
  heartbeat: 20,
  resumed: true,
  limits: {},
};
const message = (id: string, seq: number): ServerFrame => ({
  type: "backend_message",
  messageType: "suggestion",
  message: "",
  timestamp: 0,
  id,
  seq,
});

class Wire implements LinkEvents {
  readonly time = new VirtualTime();
  readonly asked: Asked[] = [];
  readonly frames: ServerFrame[] = [];
  readonly takenFrames: ClientFrame[] = [];
  readonly endings: Ending[] = [];
  readonly aborted: string[] = [];
  isReady = false;
  heardTimes = 0;
  readonly link;

  constructor(transport: "sse" | "poll") {
    const platform = platformWith({
      now: () => this.time.now,
      setTimer: (call, ms) => this.time.after(ms, call),
      fetch: (input, init) => this.fetch(String(input), init ?? {}),
    });
    const addresses = { webSocketUrl: undefined, httpUrl: "http://server.invalid/path/" };
    this.link = openLink(transport, addresses, "a token", platform, this);
  }

  ready(): void {
    this.isReady = true;
  }
  frame(frame: ServerFrame): void {
    this.frames.push(frame);
  }
  heard(): void {
    this.heardTimes += 1;
  }
  taken(frames: readonly ClientFrame[]): void {
    this.takenFrames.push(...frames);
  }
  ended(ending: Ending): void {
    this.endings.push(ending);
  }

  /** The requests made since the last call, after all that can happen has happened. */
  async requests(): Promise<Asked[]> {
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    return this.asked.splice(0);
  }

  async one(what: string): Promise<Asked> {
    const asked = await this.requests();
    assert.deepEqual(
      asked.map((each) => each.what),
      [what],
    );
    return asked[0] as Asked;
  }

  /** As far as the welcome. */
  async begin(): Promise<void> {
    await this.requests();
    assert.equal(this.isReady, true);
    this.link.hello(HELLO);
    const hello = await this.one("POST /path/hello");
    assert.deepEqual(hello.body, HELLO);
    assert.equal(hello.token, "Bearer a token");
    hello.reply(200, WELCOME);
  }

  private fetch(url: string, init: RequestInit): Promise<Response> {
    const { pathname, search } = new URL(url);
    return new Promise((resolve, reject) => {
      init.signal?.addEventListener("abort", () => {
        this.aborted.push(pathname);
        reject(new Error("aborted"));
      });
      this.asked.push({
        what: `${init.method ?? "GET"} ${pathname}${search}`,
        body: typeof init.body === "string" ? (JSON.parse(init.body) as unknown) : undefined,
        token: new Headers(init.headers).get("Authorization"),
        reply: (status, value, headers = {}) =>
          resolve(new Response(typeof value === "string" ? value : JSON.stringify(value), { status, headers })),
        stream: () => {
          let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
          resolve(new Response(new ReadableStream({ start: (one) => void (controller = one) })));
          return controller as ReadableStreamDefaultController<Uint8Array>;
        },
        fail: () => reject(new TypeError("fetch failed")),
      });
    });
  }
}

const POLL = "GET /path/poll?session=s1&after=";
const POST = "POST /path/events?session=s1";

test("a poll is asked for again when all that came has been handled, and says so", async () => {
  const wire = new Wire("poll");
  await wire.begin();
  (await wire.one(`${POLL}7`)).reply(200, { frames: [message("m8", 8), { nonsense: 1 }, message("m9", 9)] });
  assert.deepEqual(await wire.requests(), []);
  assert.deepEqual(
    wire.frames.map((frame) => frame["id"]),
    [undefined, "m8", "m9"],
  );
  wire.link.send([{ type: "received", seq: 8 }]);
  assert.deepEqual(await wire.requests(), []);
  wire.link.send([{ type: "received", seq: 9 }]);
  await wire.one(`${POLL}9`);
});

test("a poll that is answered at once with nothing is asked for again after a second", async () => {
  const wire = new Wire("poll");
  await wire.begin();
  (await wire.one(`${POLL}7`)).reply(200, { frames: [] });
  assert.deepEqual(await wire.requests(), []);
  await wire.time.pass(999);
  assert.deepEqual(await wire.requests(), []);
  await wire.time.pass(1);
  await wire.one(`${POLL}7`);
});

test("a link that is frozen tells what still comes and asks for nothing", async () => {
  const wire = new Wire("poll");
  await wire.begin();
  const poll = await wire.one(`${POLL}7`);
  wire.link.freeze();
  poll.reply(200, { frames: [{ type: "withdrawn", id: "m1", reason: "muted" }] });
  await wire.time.pass(10_000);
  assert.deepEqual(await wire.requests(), []);
  assert.equal(wire.frames.at(-1)?.type, "withdrawn");
  assert.deepEqual(wire.endings, []);
});

test("of a request that is refused whole, the one frame at fault is found and the others are taken", async () => {
  const wire = new Wire("poll");
  await wire.begin();
  await wire.requests();
  wire.link.send(["a", "bad", "c", "d"].map((id) => ({ type: "did", id })));
  for (
    let left = 20, asked = await wire.requests();
    asked.length > 0 && left > 0;
    left--, asked = await wire.requests()
  ) {
    const ids = (asked[0]?.body as { id: string }[]).map(({ id }) => id);
    if (ids.includes("bad")) asked[0]?.reply(413, { type: "error", code: "too_big", message: "no" });
    else asked[0]?.reply(202, { ids, frames: [{ type: "ack", ids }] });
  }
  const acknowledged = wire.frames.flatMap((frame) => (frame.type === "ack" ? (frame["ids"] as string[]) : []));
  assert.deepEqual(acknowledged, ["a", "c", "d"]);
  assert.deepEqual(
    wire.frames.filter(({ type }) => type === "error"),
    [{ type: "error", code: "too_big", message: "no", frameId: "bad" }],
  );
});

test("a request that has to wait is told of each of its frames; one that is taken, as a whole", async () => {
  const wire = new Wire("poll");
  await wire.begin();
  await wire.requests();
  const frames: ClientFrame[] = [
    { type: "did", id: "a" },
    { type: "outcome", id: "m1", outcome: "seen" },
  ];
  wire.link.send(frames);
  const busy = { type: "error", code: "overloaded", message: "later", retryAfter: 1 };
  (await wire.one(POST)).reply(503, busy);
  await wire.requests();
  assert.deepEqual(wire.frames.slice(1), [
    { ...busy, frameId: "a" },
    { ...busy, frameId: "m1" },
  ]);
  assert.deepEqual(wire.takenFrames, []);
  wire.link.send(frames);
  (await wire.one(POST)).reply(202, { ids: ["a"], frames: [{ type: "ack", ids: ["a"] }] });
  await wire.requests();
  assert.deepEqual(wire.takenFrames, frames);
});

test("one request with frames is under way at a time, and at most a hundred frames go in one", async () => {
  const wire = new Wire("poll");
  await wire.begin();
  await wire.requests();
  for (let n = 0; n < 150; n++) wire.link.send([{ type: "did", id: `e${n}` }]);
  const sizes = [];
  for (let asked = await wire.requests(); asked.length > 0; asked = await wire.requests()) {
    assert.equal(asked.length, 1);
    sizes.push((asked[0]?.body as unknown[]).length);
    asked[0]?.reply(202, { ids: [], frames: [] });
  }
  assert.deepEqual(sizes, [1, 100, 49]);
});

const ENDINGS = [
  [401, { type: "error", code: "unauthorized", message: "" }, "unauthorized", undefined],
  [404, { type: "error", code: "no_session", message: "" }, "no_session", undefined],
  [409, { type: "error", code: "replaced", message: "" }, "replaced", undefined],
  [410, { type: "error", code: "erased", message: "" }, "erased", undefined],
  [502, "<html>Bad Gateway</html>", "broken", undefined],
  [503, "<html>Try later</html>", "broken", 7000],
] as const;
for (const [status, body, why, retryAfterMs] of ENDINGS) {
  test(`a reply of ${status} ${JSON.stringify(body)} is the end of the link: ${why}`, async () => {
    for (const route of ["/hello", "/poll", "/events"]) {
      const wire = new Wire("poll");
      if (route === "/hello") {
        await wire.requests();
        wire.link.hello(HELLO);
      } else {
        await wire.begin();
      }
      if (route === "/events") {
        await wire.requests();
        wire.link.send([{ type: "did", id: "a" }]);
      }
      (await wire.requests())[0]?.reply(status, body, retryAfterMs === undefined ? {} : { "Retry-After": "7" });
      await wire.requests();
      assert.deepEqual(
        wire.endings.map((ending) => [ending.why, ending.code, ending.retryAfterMs]),
        [[why, status, retryAfterMs]],
        route,
      );
    }
  });
}

test("where nobody answers, that is told, and a request that takes too long is given up", async () => {
  const unreachable = new Wire("poll");
  await unreachable.requests();
  unreachable.link.hello(HELLO);
  (await unreachable.one("POST /path/hello")).fail();
  await unreachable.requests();
  assert.equal(unreachable.endings[0]?.isUnreachable, true);

  const slow = new Wire("poll");
  await slow.begin();
  await slow.requests();
  await slow.time.pass(34_999);
  await slow.requests();
  assert.deepEqual(slow.endings, []);
  await slow.time.pass(1);
  await slow.requests();
  assert.deepEqual(
    slow.endings.map(({ why }) => why),
    ["broken"],
  );
  assert.deepEqual(slow.aborted, ["/path/poll"]);
});

test("a stream is a way once something has come of it, and goes on behind what was received", async () => {
  const wire = new Wire("sse");
  await wire.begin();
  const stream = (await wire.one("GET /path/stream?session=s1&after=7")).stream();
  await wire.requests();
  assert.equal(wire.frames.length, 0, "a proxy may be holding it back");
  const text = new TextEncoder().encode(
    `retry: 1000\n\nid: 8\ndata: ${JSON.stringify({ ...message("m8", 8), message: "é" })}\n\n`,
  );
  const middle = text.indexOf(0xc3) + 1; // in the middle of a letter
  stream.enqueue(text.slice(0, middle));
  await wire.requests();
  stream.enqueue(text.slice(middle));
  await wire.requests();
  assert.deepEqual(
    wire.frames.map((frame) => [frame.type, frame["message"]]),
    [
      ["welcome", undefined],
      ["backend_message", "é"],
    ],
  );
  assert.equal(wire.heardTimes, 2);
  stream.enqueue(
    new TextEncoder().encode('event: close\ndata: {"code":4001,"reason":"{\\"code\\":\\"replaced\\"}"}\n\n'),
  );
  await wire.requests();
  assert.deepEqual(
    wire.endings.map(({ why, code }) => [why, code]),
    [["replaced", 4001]],
  );
});

test("a link that is closed gives its requests up and tells nothing more", async () => {
  for (const transport of ["sse", "poll"] as const) {
    const wire = new Wire(transport);
    await wire.begin();
    await wire.requests();
    wire.link.send([{ type: "did", id: "a" }]);
    await wire.requests();
    wire.link.close(false);
    await wire.requests();
    assert.equal(wire.aborted.length, 2);
    assert.deepEqual(wire.endings, []);
  }
});
