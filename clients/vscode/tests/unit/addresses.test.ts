/** Addresses of the settings, and tokens. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { addressIn, subjectOf, tokenKey, troubleWithToken } from "../../src/addresses.js";

const webSocket = (value: unknown): string | undefined => addressIn("proactive.webSocketUrl", value, ["ws:", "wss:"]);

for (const [given, expected] of [
  ["ws://127.0.0.1:7778", "ws://127.0.0.1:7778"],
  ["wss://p.example:7778/", "wss://p.example:7778"],
  [" wss://p.example/door ", "wss://p.example/door"],
  ["ws://[::1]:7778", "ws://[::1]:7778"],
  ["", undefined],
  [undefined, undefined],
  [null, undefined],
] as const) {
  test(`the address ${JSON.stringify(given) ?? "nothing"}`, () => assert.equal(webSocket(given), expected));
}

for (const given of ["http://127.0.0.1:7778", "127.0.0.1:7778", "nonsense", "ws://", "ws://a b", 7778, {}]) {
  test(`no address: ${JSON.stringify(given)}`, () =>
    assert.throws(
      () => webSocket(given),
      /expected proactive.webSocketUrl to be an address \(ws:\/\/… or wss:\/\/…\), got/,
    ));
}

test("a token is for the addresses for which it was given, and for no others", () => {
  const key = tokenKey({ webSocketUrl: "wss://a", httpUrl: "https://a" });
  assert.equal(key, tokenKey({ httpUrl: "https://a", webSocketUrl: "wss://a" }));
  assert.notEqual(key, tokenKey({ webSocketUrl: "wss://b", httpUrl: "https://a" }));
  assert.notEqual(key, tokenKey({ webSocketUrl: "wss://a" }));
});

test("a token is letters and signs without spaces", () => {
  assert.equal(troubleWithToken(" eyJ.a-b_c.d "), undefined);
  assert.equal(troubleWithToken("x".repeat(16_384)), undefined);
  for (const text of ["", "  ", "two words", "naïve", "a\nb", "x".repeat(16_385)])
    assert.match(troubleWithToken(text) ?? "", /expected/);
});

test("whose a token is stands in it, where it is of that kind", () => {
  const token = (claims: unknown): string => `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.x`;
  assert.equal(subjectOf(token({ sub: "ann" })), "ann");
  for (const other of [token({}), token({ sub: 5 }), token(null), "opaque", "a.b.c", ""])
    assert.equal(subjectOf(other), "");
});
