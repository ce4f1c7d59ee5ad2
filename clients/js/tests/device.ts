/** A client in virtual time, and what its user has seen. */

import {
  ProactiveClient,
  type ClientOptions,
  type ConnectionState,
  type Delivery,
  type Hint,
  type Message,
  type Problem,
} from "../src/index.js";
import type { FakeServer } from "./fake_server.js";
import { MemoryStorage, type VirtualTime } from "./virtual_time.js";

export class Device {
  readonly storage = new MemoryStorage();
  readonly shown: string[] = [];
  readonly messages: Message[] = [];
  readonly states: ConnectionState[] = [];
  readonly deliveries = new Map<string, Delivery>();
  readonly problems: Problem[] = [];
  readonly told: string[] = [];
  client: ProactiveClient;
  hint: (hint: Hint) => void = () => undefined;
  private starts = 0;

  constructor(
    private readonly time: VirtualTime,
    private readonly server: FakeServer,
    private readonly random: () => number,
    private readonly more: Partial<ClientOptions> = {},
  ) {
    this.client = this.start();
  }

  /** The page is gone, without a word; another one comes. */
  reload(): void {
    this.client.disconnect();
    this.client = this.start();
  }

  tell(type: string): string {
    const { id, delivery } = this.client.send({ type });
    this.told.push(id);
    void delivery.then((how) => {
      if (how.status !== "kept") this.deliveries.set(id, how);
    });
    return id;
  }

  words(): string[] {
    return this.states.map(({ state }) => state);
  }

  private start(): ProactiveClient {
    this.starts += 1;
    const run = this.starts;
    const client = new ProactiveClient({
      clientId: "laptop",
      webSocketUrl: "ws://server.invalid",
      httpUrl: "http://server.invalid",
      storage: this.storage,
      ...this.more,
      platform: {
        now: () => this.time.now,
        wallNow: () => this.time.now,
        setTimer: (call, ms) => this.time.after(ms, call),
        random: this.random,
        uniqueId: () => `run${run}`,
        fetch,
        WebSocket: class {
          readonly readyState = 3;
          send(): void {}
          close(): void {}
          addEventListener(): void {}
        },
        listen: (tell) => {
          this.hint = tell;
          return () => {
            this.hint = () => undefined;
          };
        },
        ...this.more.platform,
      },
      openLink: (transport, _addresses, _token, _platform, events) => this.server.connect(transport, events),
    });
    client.on("state", (state) => this.states.push(state));
    client.on("message", (message) => {
      this.shown.push(message.id);
      this.messages.push(message);
    });
    client.on("problem", (problem) => this.problems.push(problem));
    client.on("settled", ({ id, delivery }) => this.deliveries.set(id, delivery));
    client.connect();
    return client;
  }
}
