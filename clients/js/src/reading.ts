/** What a server says, to frames: nonsense is told from frames here, so that nothing behind has to expect it. */

import type { ServerFrame } from "./frames.js";
import { asRecord } from "./storage.js";

/** The frame of a text, or undefined where it is none. */
export function readFrame(text: string): ServerFrame | undefined {
  try {
    return toFrame(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** The value as a frame, if it has all that its type needs. Fields that are not known stay. */
export function toFrame(value: unknown): ServerFrame | undefined {
  const frame = asRecord(value);
  if (frame === undefined || typeof frame["type"] !== "string") return undefined;
  if (!isAbsentOr(frame["seq"], isCount) || !isAbsentOr(frame["expiresAt"], isNumber)) return undefined;
  const needs = NEEDS.get(frame["type"]);
  if (needs !== undefined && !needs(frame)) return undefined;
  return frame as unknown as ServerFrame;
}

type Fields = Readonly<Record<string, unknown>>;

const NEEDS: ReadonlyMap<string, (frame: Fields) => boolean> = new Map(
  Object.entries<(frame: Fields) => boolean>({
    welcome: (frame) =>
      isString(frame["session"]) &&
      isString(frame["user"]) &&
      isNumber(frame["serverTime"]) &&
      isNumber(frame["heartbeat"]) &&
      frame["heartbeat"] > 0 &&
      typeof frame["resumed"] === "boolean" &&
      isAbsentOr(frame["tokenExpiresAt"], isNumber) &&
      asRecord(frame["limits"]) !== undefined,
    ack: (frame) => Array.isArray(frame["ids"]),
    withdrawn: (frame) => isString(frame["id"]),
    preferences: (frame) => isString(frame["level"]) && Array.isArray(frame["muted"]),
    error: (frame) =>
      isString(frame["code"]) &&
      isString(frame["message"]) &&
      isAbsentOr(frame["retryAfter"], (after) => isNumber(after) && after >= 0),
    chat_response_delta: (frame) => isString(frame["delta"]),
  }),
);

function isAbsentOr(value: unknown, is: (value: unknown) => boolean): boolean {
  return value === undefined || is(value);
}

function isString(value: unknown): value is string {
  return typeof value === "string";
}

function isNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

function isCount(value: unknown): boolean {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 1;
}
