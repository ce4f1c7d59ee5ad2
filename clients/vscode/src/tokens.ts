/** The token by which the server knows the user, in the editor's secret storage. It is written to no file and no log. */

import * as vscode from "vscode";
import { tokenKey } from "./addresses.js";
import type { Log } from "./parts.js";
import { connectionSettings, type ConnectionSettings } from "./settings.js";

export class Tokens {
  constructor(
    private readonly secrets: vscode.SecretStorage,
    private readonly log: Log,
  ) {}

  /** The one for these addresses, undefined where there is none. Never rejects. */
  async get(settings: ConnectionSettings): Promise<string | undefined> {
    try {
      return await this.secrets.get(tokenKey(settings));
    } catch {
      this.log.warn("the editor's secret storage cannot be read; going on without a token");
      return undefined;
    }
  }

  /** For the addresses that are set now. All windows hear of it. */
  async set(token: string): Promise<void> {
    await this.secrets.store(tokenKey(connectionSettings()), token);
  }

  async clear(): Promise<void> {
    await this.secrets.delete(tokenKey(connectionSettings()));
  }

  /** It was set or cleared, in this window or another. */
  onChange(call: () => void): vscode.Disposable {
    return this.secrets.onDidChange(() => call());
  }
}
