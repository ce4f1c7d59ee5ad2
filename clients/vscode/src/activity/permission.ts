/** Whether anything may be told, and by which reporter: the editor's setting and our own. It asks nobody. */

import { REPORTERS, type ReporterName } from "./catalogue.js";
import { together, type Disposable, type Editor } from "./editor.js";

export class Permission implements Disposable {
  private readonly listeners = new Set<() => void>();
  private readonly subscriptions: Disposable;
  private allowed: ReadonlySet<ReporterName>;

  constructor(private readonly editor: Editor) {
    this.allowed = this.read();
    const look = () => this.look();
    this.subscriptions = together(editor.onTelemetry(look), editor.onSettings(look));
  }

  allows(reporter: ReporterName): boolean {
    return this.allowed.has(reporter);
  }

  /** The reporters that may tell, in the catalogue's order. */
  get reporters(): readonly ReporterName[] {
    return [...this.allowed];
  }

  /** Call it when another set of reporters may tell than before. */
  onChange(listener: () => void): Disposable {
    this.listeners.add(listener);
    return { dispose: () => void this.listeners.delete(listener) };
  }

  dispose(): void {
    this.subscriptions.dispose();
    this.listeners.clear();
    this.allowed = new Set();
  }

  private look(): void {
    const before = this.reporters.join();
    this.allowed = this.read();
    if (this.reporters.join() !== before) for (const listener of [...this.listeners]) listener();
  }

  private read(): ReadonlySet<ReporterName> {
    const { editor } = this;
    if (!editor.isTelemetryEnabled() || editor.setting<boolean>("enabled", false) !== true) return new Set();
    return new Set(REPORTERS.map(({ name }) => name).filter((name) => editor.setting<boolean>(name, true) === true));
  }
}
