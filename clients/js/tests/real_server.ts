/** `proactive serve` in a process of its own, behind doors that can be shut; it is killed and started again. */

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile, mkdir } from "node:fs/promises";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

// From build/tests/ of the package.
const ROOT = fileURLToPath(new URL("../../../../", import.meta.url));
const OF_THE_REPOSITORY = join(ROOT, ".venv", "bin", "python");
const PYTHON = process.env["SERVER_PYTHON"] ?? (existsSync(OF_THE_REPOSITORY) ? OF_THE_REPOSITORY : "python3");
// What somebody has set for a server of their own is not for this one.
const ENVIRONMENT = {
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("PROACTIVE_"))),
  PYTHONPATH: ROOT,
};
const LISTENS = /(WebSocket|HTTP) server started on \w+:\/\/127\.0\.0\.1:(\d+)/;

/** Passes connections on to a port that may change. Shut, it takes none and cuts those there are. */
export class Door {
  target = 0;
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();
  private readonly watchers: (() => void)[] = [];
  private isShut = false;

  constructor() {
    this.server = createServer((client) => this.pass(client));
  }

  async listen(): Promise<void> {
    this.server.listen(0, "127.0.0.1");
    await once(this.server, "listening");
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** Resolves when the next connection has been turned away. */
  turnsAway(): Promise<void> {
    return new Promise((resolve) => this.watchers.push(resolve));
  }

  shut(): void {
    this.isShut = true;
    this.cut();
  }

  open(): void {
    this.isShut = false;
  }

  cut(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  close(): void {
    this.shut();
    this.server.close();
  }

  private pass(client: Socket): void {
    if (this.isShut || this.target === 0) {
      client.destroy();
      for (const tell of this.watchers.splice(0)) tell();
      return;
    }
    const server = connect(this.target, "127.0.0.1");
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      this.sockets.add(from);
      from.pipe(to);
      from.on("error", () => undefined);
      from.on("close", () => {
        this.sockets.delete(from);
        to.destroy();
      });
    }
  }
}

export class RealServer {
  readonly webSocketDoor = new Door();
  readonly httpDoor = new Door();
  private process: ChildProcess | undefined;
  private folder = "";

  private constructor(private readonly environment: Readonly<Record<string, string>>) {}

  /** `settings`: YAML beside what stands here. */
  static async start(settings = "", environment: Readonly<Record<string, string>> = {}): Promise<RealServer> {
    const server = new RealServer(environment);
    server.folder = await mkdtemp(join(tmpdir(), "proactive-client-"));
    await mkdir(join(server.folder, "rules"));
    await writeFile(join(server.folder, "rules", "rules.yaml"), "version: 1\nrules: []\n");
    await writeFile(
      join(server.folder, "config.yaml"),
      `ws_port: 0\nhttp_port: 0\nrules: rules\nstore: sqlite:proactive.db\nresponder: echo\n${settings}`,
    );
    await server.webSocketDoor.listen();
    await server.httpDoor.listen();
    try {
      await server.run();
    } catch (cause) {
      await server.close();
      throw cause;
    }
    return server;
  }

  get addresses(): { webSocketUrl: string; httpUrl: string } {
    return { webSocketUrl: `ws://127.0.0.1:${this.webSocketDoor.port}`, httpUrl: this.httpUrl };
  }

  get httpUrl(): string {
    return `http://127.0.0.1:${this.httpDoor.port}`;
  }

  /** Start the process; it listens when this resolves. */
  async run(): Promise<void> {
    const child = spawn(
      PYTHON,
      ["-c", "from engine.cli.main import main; main()", "serve", "--config", "config.yaml"],
      {
        cwd: this.folder,
        env: { ...ENVIRONMENT, ...this.environment },
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    this.process = child;
    let errors = "";
    child.stderr.on("data", (piece: Buffer) => {
      errors = (errors + piece.toString()).slice(-4000);
    });
    const ports = new Map<string, number>();
    for await (const line of createInterface(child.stdout)) {
      const found = LISTENS.exec(line);
      if (found?.[1] !== undefined) ports.set(found[1], Number(found[2]));
      if (ports.size === 2) break;
    }
    if (ports.size < 2) throw new Error(`${PYTHON} did not serve; set SERVER_PYTHON to one that can\n${errors}`);
    child.stdout.resume();
    this.webSocketDoor.target = ports.get("WebSocket") ?? 0;
    this.httpDoor.target = ports.get("HTTP") ?? 0;
  }

  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const child = this.process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill(signal);
    await gone;
    this.webSocketDoor.target = this.httpDoor.target = 0;
  }

  async close(): Promise<void> {
    await this.kill();
    this.webSocketDoor.close();
    this.httpDoor.close();
    await rm(this.folder, { recursive: true, force: true });
  }

  /** As a backend: past the doors. */
  async request(method: string, path: string, value?: unknown, token?: string): Promise<Record<string, unknown>> {
    const response = await fetch(`http://127.0.0.1:${this.httpDoor.target}${path}`, {
      method,
      headers: {
        "Content-Type": "application/json",
        ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
      },
      ...(value === undefined ? {} : { body: JSON.stringify(value) }),
    });
    const body = (await response.json()) as Record<string, unknown>;
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${JSON.stringify(body)}`);
    return body;
  }

  async say(user: string, text: string, more: Record<string, unknown> = {}): Promise<string> {
    const { ids } = await this.request("POST", "/messages", { to: { user }, type: "suggestion", text, ...more });
    return String((ids as string[])[0]);
  }

  /** What happened to the user, oldest first. */
  async events(user: string, type: string): Promise<Record<string, unknown>[]> {
    const events: Record<string, unknown>[] = [];
    for (let before = ""; ;) {
      const page = await this.request(
        "GET",
        `/users/${user}/timeline?limit=500${before && `&before=${encodeURIComponent(before)}`}`,
      );
      for (const item of page["items"] as Record<string, unknown>[]) {
        if (item["kind"] === "event" && item["type"] === type) events.unshift(item);
      }
      if (typeof page["next"] !== "string") return events;
      before = page["next"];
    }
  }

  async waiting(user: string): Promise<unknown[]> {
    return (await this.request("GET", `/users/${user}/timeline`))["waiting"] as unknown[];
  }
}
