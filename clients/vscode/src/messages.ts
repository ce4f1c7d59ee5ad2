/** What host and view say to each other. Types alone: what comes from the view is checked in `from_panel.ts`. */

import type { Level } from "@proactive/client";
import type { Item } from "@proactive/widget/conversation.js";

/** From the host to the view. Moments are epoch milliseconds by the server's clock. */
export type ToPanel =
  /** After `ready`: everything anew. */
  | { readonly kind: "all"; readonly items: readonly Item[]; readonly now: number }
  | { readonly kind: "put"; readonly item: Item }
  | { readonly kind: "erase"; readonly id: string }
  | {
      readonly kind: "state";
      readonly state: "connected" | "fallback" | "reconnecting" | "offline";
      readonly line: string;
      readonly canReconnect: boolean;
    }
  | {
      readonly kind: "wishes";
      readonly level: Level;
      readonly snoozedUntil: number | null;
      readonly muted: readonly string[];
    }
  /** For screen readers. */
  | { readonly kind: "announce"; readonly text: string }
  /** Give the focus to the field, or to the item. */
  | { readonly kind: "focus"; readonly id?: string };

/** From the view to the host. `id` is that of an item. */
export type FromPanel =
  | { readonly kind: "ready" }
  | { readonly kind: "say"; readonly text: string }
  | { readonly kind: "answer"; readonly id: string; readonly response: string }
  | { readonly kind: "dismiss" | "mute" | "opened" | "accept" | "reject" | "compare"; readonly id: string }
  | { readonly kind: "insert"; readonly code: string; readonly language: string }
  | { readonly kind: "reconnect" }
  | { readonly kind: "snooze"; readonly how: "quarter" | "tomorrow" | "wake" }
  | { readonly kind: "level"; readonly level: Level }
  | { readonly kind: "unmute"; readonly name: string };
