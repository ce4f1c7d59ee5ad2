/** A client of a real server, and what its user has seen; all waiting is for events of the client. */

import { after } from "node:test";
import { WebSocket as SocketOfPackage } from "ws";

import {
  ProactiveClient,
  type ClientOptions,
  type ConnectionState,
  type Delivery,
  type Hint,
  type Message,
  type Preferences,
  type Told,
  type Transport,
  type Withdrawn,
} from "../src/index.js";
import { MemoryStorage } from "./virtual_time.js";

/** Whatever becomes of a test, its clients are not to keep the process. */
const clients: ProactiveClient[] = [];
after(() => {
  for (const client of clients) client.disconnect();
});

export class Person {
  readonly client: ProactiveClient;
  readonly shown: Message[] = [];
  readonly states: ConnectionState[] = [];
  readonly withdrawn: Withdrawn[] = [];
  readonly preferences: Preferences[] = [];
  readonly pieces: string[] = [];
  readonly storage: MemoryStorage;
  /** Milliseconds by which the client's clock is ahead: how a test lets an hour pass. */
  ahead = 0;
  hint: (hint: Hint) => void = () => undefined;
  /** What a listener of messages waits for. */
  busy: Promise<void> = Promise.resolve();
  private readonly watchers = new Set<() => void>();

  constructor(options: Omit<ClientOptions, "clientId"> & { clientId?: string }, storage = new MemoryStorage()) {
    this.storage = storage;
    this.client = new ProactiveClient({
      clientId: "laptop",
      ...(options.token === undefined ? { user: "ann" } : {}),
      storage,
      ...options,
      platform: {
        // Node's own from 22 on, as an application would have it.
        WebSocket: typeof WebSocket === "function" ? WebSocket : SocketOfPackage,
        now: () => performance.now() + this.ahead,
        wallNow: () => Date.now() + this.ahead,
        listen: (tell) => {
          this.hint = tell;
          return () => undefined;
        },
      },
    });
    clients.push(this.client);
    this.keep("state", this.states);
    this.keep("message", this.shown);
    this.client.on("message", () => this.busy);
    this.keep("withdrawn", this.withdrawn);
    this.keep("preferences", this.preferences);
    this.client.on("chatDelta", ({ delta }) => this.pieces.push(delta));
    this.client.on("settled", () => this.look());
  }

  get texts(): string[] {
    return this.shown.map((message) => String(message["message"]));
  }

  /** Resolves when it is so; it is looked at whenever the client tells something. */
  until(isSo: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const watcher = (): void => {
        try {
          if (!isSo()) return;
          resolve();
        } catch (cause) {
          reject(cause);
        }
        this.watchers.delete(watcher);
      };
      this.watchers.add(watcher);
      watcher();
    });
  }

  async connected(transport?: Transport): Promise<this> {
    if (this.client.state.state === "offline") this.client.connect();
    await this.until(() => {
      const now = this.client.state;
      if (now.state === "offline") throw new Error(`expected a connection, got ${JSON.stringify(now)}`);
      return (
        (now.state === "connected" || now.state === "fallback") &&
        (transport === undefined || now.transport === transport)
      );
    });
    return this;
  }

  private keep<Name extends "state" | "message" | "withdrawn" | "preferences">(name: Name, into: unknown[]): void {
    this.client.on(name, (value) => {
      into.push(value);
      this.look();
    });
  }

  private look(): void {
    for (const watcher of [...this.watchers]) watcher();
  }
}

export function statuses(told: readonly Told[]): Promise<string[]> {
  return Promise.all(told.map(({ delivery }) => delivery.then(({ status }: Delivery) => status)));
}
