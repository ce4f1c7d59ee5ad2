/**
 * A server of the protocol in memory, and a network that loses and delays. It does what docs/protocol.md says of
 * sessions, no more; the contract tests hold the client to a real one.
 */

import type { Ending } from "../src/closing.js";
import { endingOfClose } from "../src/closing.js";
import type { Transport } from "../src/states.js";
import type { ClientFrame, ErrorFrame, Hello, ServerFrame } from "../src/frames.js";
import type { Link, LinkEvents } from "../src/link.js";
import type { VirtualTime } from "./virtual_time.js";

interface Owed {
  readonly id: string;
  seq: number;
}

interface FakeSession {
  readonly name: string;
  readonly client: string;
  seq: number;
  owed: Owed[];
  line: Line | undefined;
  attempt: Hello["attempt"];
}

/** Both directions of one connection, each in order. What is under way when it breaks is lost, or arrives all the same. */
class Line {
  isUp = true;
  private upAt = 0;
  private downAt = 0;

  constructor(
    private readonly world: FakeServer,
    readonly events: LinkEvents,
  ) {}

  up(deliver: () => void): void {
    this.upAt = Math.max(this.upAt, this.world.time.now + this.world.latency());
    const born = this.world.lives;
    // A request on its way arrives though its sender has hung up, but never at another process.
    this.world.time.after(this.upAt - this.world.time.now, () => {
      if (born === this.world.lives && this.world.isUp) deliver();
    });
  }

  down(frame: ServerFrame): void {
    this.downAt = Math.max(this.downAt, this.world.time.now + this.world.latency());
    this.world.time.after(this.downAt - this.world.time.now, () => {
      if (!this.isUp) return;
      this.events.heard();
      this.events.frame(frame);
    });
  }

  end(ending: Ending): void {
    this.downAt = Math.max(this.downAt, this.world.time.now + this.world.latency());
    this.world.time.after(this.downAt - this.world.time.now, () => this.break(ending));
  }

  break(ending: Ending): void {
    if (!this.isUp) return;
    this.isUp = false;
    this.events.ended(ending);
  }
}

export const BROKEN: Ending = { why: "broken", code: 1006, detail: "" };

export class FakeServer {
  isUp = true;
  lives = 0;
  /** How often each event has happened. */
  readonly happened = new Map<string, number>();
  readonly outcomes: string[] = [];
  readonly sent: string[] = [];
  readonly received = new Set<string>();
  readonly replaced: string[] = [];
  /** Ways that do not get through now. */
  readonly blocked = new Set<Transport>();
  /** The next events are refused with this. */
  refusals: (Pick<ErrorFrame, "code"> & { readonly retryAfter?: number })[] = [];
  latencyMs = 20;
  heartbeat = 20;
  hellos = 0;
  /** How long a token holds from its hello on; then the line ends. */
  tokenLifeMs: number | undefined;
  private readonly lines = new Set<Line>();
  private sessions = new Map<string, FakeSession>();
  private names = 0;

  constructor(
    readonly time: VirtualTime,
    private readonly random: () => number,
  ) {}

  latency(): number {
    return Math.floor(this.random() * this.latencyMs);
  }

  /** The server's end of `openLink`. */
  connect(transport: Transport, events: LinkEvents): Link {
    const line = new Line(this, events);
    if (!this.isUp || this.blocked.has(transport)) {
      line.end({ ...BROKEN, isUnreachable: !this.isUp });
    } else {
      this.lines.add(line);
      this.time.after(this.latency(), () => {
        if (line.isUp) events.ready();
      });
    }
    const close = (): void => {
      line.isUp = false;
      this.lines.delete(line);
    };
    return {
      pulse: transport === "websocket" ? "pings" : "requests",
      hello: (frame) => line.up(() => this.hello(line, frame)),
      send: (frames) => {
        for (const frame of frames) line.up(() => this.take(line, frame));
        if (transport !== "websocket") this.time.after(3 * this.latencyMs, () => line.isUp && events.taken(frames));
      },
      freeze: () => undefined,
      close,
    };
  }

  /** Send a message to the user. */
  say(id: string, more: Readonly<Record<string, unknown>> = {}): void {
    this.sent.push(id);
    this.extra.set(id, more);
    for (const session of this.sessions.values()) {
      session.owed.push({ id, seq: 0 });
      this.flush(session);
    }
  }

  private readonly extra = new Map<string, Readonly<Record<string, unknown>>>();

  tell(frame: ServerFrame): void {
    for (const session of this.sessions.values()) session.line?.down(frame);
  }

  /** All lines break, with what is on them. */
  cut(ending: Ending = BROKEN): void {
    for (const line of [...this.lines]) {
      this.lines.delete(line);
      line.break(ending);
    }
  }

  /** The process is killed. `keepsSessions`: the next one can resume them. */
  crash(keepsSessions: boolean): void {
    this.isUp = false;
    this.lives += 1;
    this.cut();
    if (!keepsSessions) this.sessions.clear();
    for (const session of this.sessions.values()) session.line = undefined;
  }

  get isOwed(): boolean {
    return [...this.sessions.values()].some((session) => session.owed.length > 0);
  }

  private hello(line: Line, frame: Hello): void {
    this.hellos += 1;
    if (this.isOvertaken(frame)) {
      line.down({ type: "error", code: "replaced", message: "" });
      return;
    }
    const asked = frame.resume?.session;
    let session = asked === undefined ? undefined : this.sessions.get(asked);
    const resumed = session !== undefined;
    if (session === undefined) {
      for (const former of this.sessions.values()) {
        if (former.client !== frame.clientId) continue;
        this.replace(former);
        this.sessions.delete(former.name);
      }
      this.names += 1;
      const owed = this.sent.filter((id) => !this.received.has(id)).map((id) => ({ id, seq: 0 }));
      session = { name: `s${this.names}`, client: frame.clientId, seq: 0, owed, line: undefined, attempt: undefined };
      this.sessions.set(session.name, session);
    } else {
      this.drop(session, frame.resume?.received ?? 0);
      session.seq = frame.resume?.received ?? 0;
      if (session.line !== line) this.replace(session);
    }
    for (const owed of session.owed) owed.seq = 0;
    session.line = line;
    session.attempt = frame.attempt;
    const life = this.tokenLifeMs;
    if (life !== undefined) this.time.after(life, () => line.end(endingOfClose(1008, '{"code":"unauthorized"}')));
    line.down({
      type: "welcome",
      session: session.name,
      user: "ann",
      serverTime: this.time.now / 1000,
      heartbeat: this.heartbeat,
      resumed,
      limits: { frameBytes: 65536 },
      ...(life === undefined ? {} : { tokenExpiresAt: (this.time.now + life) / 1000 }),
    });
    this.flush(session);
  }

  /** A later hello of the same run has come before this one. */
  private isOvertaken({ clientId, attempt }: Hello): boolean {
    return [...this.sessions.values()].some(
      (session) =>
        session.client === clientId &&
        session.attempt?.run === attempt?.run &&
        (session.attempt?.number ?? 0) > (attempt?.number ?? 0),
    );
  }

  private replace(session: FakeSession): void {
    if (session.line?.isUp === true) this.replaced.push(session.name);
    session.line?.end(endingOfClose(4001, '{"code":"replaced"}'));
    session.line = undefined;
  }

  private take(line: Line, frame: ClientFrame): void {
    const session = [...this.sessions.values()].find((one) => one.line === line);
    if (session === undefined) return;
    if (frame.type === "received") this.drop(session, Number(frame["seq"]));
    else if (frame.type === "ping") line.down({ type: "pong" });
    else if (frame.type === "outcome") this.outcomes.push(`${String(frame["id"])} ${String(frame["outcome"])}`);
    else this.takeEvent(line, frame, String(frame["id"]));
  }

  private takeEvent(line: Line, frame: ClientFrame, id: string): void {
    const refusal = this.refusals.shift();
    if (refusal !== undefined) {
      const error: ErrorFrame = { ...refusal, type: "error", message: "no", frameId: id };
      line.down(error);
      return;
    }
    const life = this.lives;
    // Until it is durable a crash undoes it; when it is, the acknowledgement may still be lost.
    this.time.after(this.latency(), () => {
      if (life !== this.lives) return;
      this.happened.set(id, (this.happened.get(id) ?? 0) + (this.happened.has(id) ? 0 : 1));
      line.down({ type: "ack", ids: [id] });
    });
    void frame;
  }

  private drop(session: FakeSession, seq: number): void {
    for (const owed of session.owed) if (owed.seq > 0 && owed.seq <= seq) this.received.add(owed.id);
    session.owed = session.owed.filter((owed) => owed.seq === 0 || owed.seq > seq);
  }

  private flush(session: FakeSession): void {
    if (session.line === undefined) return;
    for (const owed of session.owed) {
      if (owed.seq > 0) continue;
      session.seq += 1;
      owed.seq = session.seq;
      session.line.down({
        type: "backend_message",
        messageType: "suggestion",
        message: owed.id,
        timestamp: 0,
        id: owed.id,
        seq: owed.seq,
        ...this.extra.get(owed.id),
      });
    }
  }
}
