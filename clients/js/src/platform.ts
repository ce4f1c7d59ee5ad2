/** What the library needs of where it runs. All of it can be given by the caller: for Node 20, and for tests. */

import type { KeyValueStorage } from "./storage.js";

/** The part of the WHATWG `WebSocket` that is used; the one of the package `ws` has it as well. */
export interface WebSocketLike {
  readonly readyState: number;
  send(text: string): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: "open" | "error", listener: () => void): void;
  addEventListener(type: "message", listener: (event: { readonly data: unknown }) => void): void;
  addEventListener(type: "close", listener: (event: { readonly code: number; readonly reason: string }) => void): void;
}

export type WebSocketClass = new (url: string) => WebSocketLike;

/** What the platform says of the network and of whether anybody looks. */
export type Hint = "online" | "offline" | "visible";

export interface Platform {
  /** Milliseconds of a clock that is never set. */
  readonly now: () => number;
  /** Epoch milliseconds. */
  readonly wallNow: () => number;
  /** Call once, after so many milliseconds; what it returns takes that back. */
  readonly setTimer: (call: () => void, ms: number) => () => void;
  /** At least 0 and below 1. */
  readonly random: () => number;
  /** At least 64 bits that nobody else has, as letters and digits. */
  readonly uniqueId: () => string;
  readonly fetch: typeof fetch | undefined;
  readonly WebSocket: WebSocketClass | undefined;
  readonly storage: KeyValueStorage | undefined;
  /** Tell of hints; what it returns stops that. */
  readonly listen: (tell: (hint: Hint) => void) => () => void;
}

/** The platform there is, with what the caller has for it. */
export function platformWith(given: Partial<Platform>): Platform {
  return { ...defaultPlatform(), ...given };
}

function defaultPlatform(): Platform {
  return {
    now: () => performance.now(),
    wallNow: () => Date.now(),
    setTimer: (call, ms) => {
      const timer = setTimeout(call, ms);
      return () => clearTimeout(timer);
    },
    random: () => Math.random(),
    uniqueId: () =>
      Array.from(crypto.getRandomValues(new Uint8Array(10)), (byte) => byte.toString(16).padStart(2, "0")).join(""),
    fetch: typeof fetch === "function" ? (input, init) => fetch(input, init) : undefined,
    WebSocket: typeof WebSocket === "function" ? WebSocket : undefined,
    storage: pageStorage(),
    listen: listenToPage,
  };
}

/** `localStorage`, where there is a page that may have one. */
function pageStorage(): KeyValueStorage | undefined {
  try {
    // Asking for it throws where cookies are forbidden; Node has one of its own only behind a flag.
    return typeof window === "object" ? window.localStorage : undefined;
  } catch {
    return undefined;
  }
}

function listenToPage(tell: (hint: Hint) => void): () => void {
  if (typeof window !== "object" || typeof document !== "object") return () => undefined;
  // Where nothing is known it is false only if there is none for sure.
  tell(navigator.onLine ? "online" : "offline");
  const online = (): void => tell("online");
  const offline = (): void => tell("offline");
  const visibility = (): void => {
    if (document.visibilityState === "visible") tell("visible");
  };
  window.addEventListener("online", online);
  window.addEventListener("offline", offline);
  document.addEventListener("visibilitychange", visibility);
  return () => {
    window.removeEventListener("online", online);
    window.removeEventListener("offline", offline);
    document.removeEventListener("visibilitychange", visibility);
  };
}
