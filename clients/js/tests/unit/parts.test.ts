/** The small parts: server-sent events, close codes, the watchdog, reading of frames. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { endingOfClose, endingOfError } from "../../src/closing.js";
import { EventStreamParser } from "../../src/event_stream.js";
import { readFrame, toFrame } from "../../src/reading.js";
import { PROBE_MS, Watchdog } from "../../src/watchdog.js";

describe("server-sent events", () => {
  const STREAM =
    'retry: 1000\n\n: \n\nid: 1\ndata: {"a":1}\n\nevent: close\r\ndata: one\r\ndata:  two\r\n\r\ndata\rdata: x\r\rdata: never ended\n';
  const EVENTS = [
    { type: "message", data: '{"a":1}' },
    { type: "close", data: "one\n two" },
    { type: "message", data: "\nx" },
  ];

  test("are read as the standard says, however the stream is cut", () => {
    for (let size = 1; size <= STREAM.length; size++) {
      const parser = new EventStreamParser();
      const events = [];
      for (let at = 0; at < STREAM.length; at += size) events.push(...parser.push(STREAM.slice(at, at + size)));
      assert.deepEqual(events, EVENTS, `pieces of ${size}`);
    }
  });

  test("have a bound", () => {
    const parser = new EventStreamParser();
    assert.throws(() => {
      for (;;) parser.push("x".repeat(100_000));
    }, RangeError);
  });
});

describe("the end of a connection", () => {
  const CLOSES = [
    [1001, '{"code":"going_away","retryAfter":1}', "going_away", 1000],
    [1006, "", "broken", undefined],
    [1008, '{"code":"unauthorized"}', "unauthorized", undefined],
    [1008, '{"code":"erased"}', "erased", undefined],
    [1008, "a message was begun, and its end did not come in time", "broken", undefined],
    [1009, "", "too_big", undefined],
    [1011, "nothing was heard for two heartbeats", "silent", undefined],
    [4000, '{"code":"too_many_bad_frames"}', "bad_frames", undefined],
    [4001, '{"code":"replaced"}', "replaced", undefined],
    [4002, '{"code":"slow_consumer","retryAfter":0.5}', "slow", 500],
    [4008, '{"code":"rate_limited","retryAfter":5}', "rate_limited", 5000],
    [4008, '{"code":"rate_limited","retryAfter":-5}', "rate_limited", undefined],
    [4008, '{"code":"rate_limited","retryAfter":"soon"}', "rate_limited", undefined],
    [4999, "null", "broken", undefined],
  ] as const;
  for (const [code, reason, why, retryAfterMs] of CLOSES) {
    test(`${code} ${reason} is ${why}`, () => {
      const ending = endingOfClose(code, reason);
      assert.deepEqual([ending.why, ending.retryAfterMs], [why, retryAfterMs]);
    });
  }

  const ERRORS = [
    ["unauthorized", undefined, "unauthorized"],
    ["forbidden", undefined, "forbidden"],
    ["bad_origin", undefined, "forbidden"],
    ["bad_frame", undefined, "refused"],
    ["replaced", undefined, "replaced"],
    ["no_session", undefined, "no_session"],
    ["too_many_connections", 5, "rate_limited"],
    ["overloaded", 1, "overloaded"],
    ["not_stored", 5, "overloaded"],
    ["internal", undefined, "broken"],
  ] as const;
  for (const [code, retryAfter, why] of ERRORS) {
    test(`the error ${code} is ${why}`, () => {
      const error = { code, message: "", ...(retryAfter === undefined ? {} : { retryAfter }) };
      assert.equal(endingOfError(error).why, why);
    });
  }
});

describe("the watchdog", () => {
  test("asks after one heartbeat of silence, and gives up after two", () => {
    const dog = new Watchdog();
    dog.start(0, "pings", 20_000);
    assert.equal(dog.wakeAt, 20_000);
    assert.equal(dog.check(19_999), undefined);
    assert.equal(dog.check(20_000), "ping");
    assert.equal(dog.check(20_001), undefined);
    assert.equal(dog.wakeAt, 40_000);
    assert.equal(dog.check(40_000), "lost");
    dog.heard(30_000);
    assert.equal(dog.check(40_000), undefined);
    assert.equal(dog.wakeAt, 50_000);
  });

  test("asks nobody who speaks by himself, but gives up as soon", () => {
    const dog = new Watchdog();
    dog.start(0, "speaks", 20_000);
    assert.equal(dog.check(39_999), undefined);
    assert.equal(dog.check(40_000), "lost");
  });

  test("has nothing to do where each request has its own end", () => {
    const dog = new Watchdog();
    dog.start(0, "requests", 20_000);
    assert.equal(dog.wakeAt, undefined);
    assert.equal(dog.check(1e9), undefined);
  });

  test("waits less long for an answer when the machine has just woken up", () => {
    const dog = new Watchdog();
    dog.start(0, "pings", 20_000);
    dog.probe(1000);
    assert.equal(dog.check(1000 + PROBE_MS - 1), undefined);
    assert.equal(dog.check(1000 + PROBE_MS), "lost");
    dog.heard(1000 + PROBE_MS);
    assert.equal(dog.check(1000 + PROBE_MS), undefined);
  });
});

describe("frames", () => {
  const NONSENSE = [
    "",
    "{",
    "null",
    "[]",
    '"x"',
    "{}",
    '{"type":7}',
    '{"type":"ack"}',
    '{"type":"ack","ids":"e1"}',
    '{"type":"welcome"}',
    '{"type":"error","code":"x"}',
    '{"type":"error","code":"x","message":"y","retryAfter":-1}',
    '{"type":"withdrawn"}',
    '{"type":"backend_message","seq":"1"}',
    '{"type":"backend_message","seq":0}',
    '{"type":"x","seq":1.5}',
    '{"type":"x","expiresAt":"soon"}',
    '{"type":"chat_response_delta"}',
    '{"type":"preferences","level":"more"}',
  ];
  for (const text of NONSENSE) {
    test(`${text || "nothing"} is none`, () => assert.equal(readFrame(text), undefined));
  }

  test("of types that nobody knows pass, whatever they are called", () => {
    for (const type of ["constructor", "__proto__", "toString", "weather"])
      assert.deepEqual(toFrame({ type, id: "m" }), { type, id: "m" });
  });
});
