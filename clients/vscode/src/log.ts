/** The Output channel "Proactive". What users say or are told never stands in it. */

import * as vscode from "vscode";
import type { ConnectionState, Problem } from "@proactive/client";
import { ConnectionLines } from "./log_lines.js";
import type { Log } from "./parts.js";

export class ChannelLog implements Log, vscode.Disposable {
  private readonly channel = vscode.window.createOutputChannel("Proactive", { log: true });
  private readonly lines = new ConnectionLines();

  info(line: string): void {
    this.channel.info(line);
  }

  warn(line: string): void {
    this.channel.warn(line);
  }

  /** One line for each change. */
  state(state: ConnectionState): void {
    const line = this.lines.next(state);
    if (line === undefined) return;
    this.channel.info(line);
    if (state.state === "offline" && state.reason === "unauthorized") {
      this.channel.info("The server asks who you are; the command “Proactive: Set Token…” tells it");
    }
    if ("ending" in state && state.ending !== undefined) {
      this.channel.debug(`${state.ending.why} ${state.ending.code}: ${state.ending.detail}`);
    }
  }

  problem({ what, detail }: Problem): void {
    this.channel.warn(`${what}: ${detail}`);
  }

  show(): void {
    this.channel.show(true);
  }

  dispose(): void {
    this.channel.dispose();
  }
}
