/** The three ways to a server, by name. */

import type { Transport } from "./states.js";
import type { Addresses, Link, LinkEvents, OpenLink } from "./link.js";
import type { Platform } from "./platform.js";
import { PollLink } from "./poll.js";
import { SseLink } from "./sse.js";
import { openWebSocket } from "./websocket.js";

/** Which of them there are: each needs an address and something of the platform. */
export function possible(transports: readonly Transport[], addresses: Addresses, platform: Platform): Transport[] {
  return transports.filter((transport) =>
    transport === "websocket"
      ? addresses.webSocketUrl !== undefined && platform.WebSocket !== undefined
      : addresses.httpUrl !== undefined && platform.fetch !== undefined,
  );
}

export const openLink: OpenLink = (transport, addresses, token, platform, events): Link => {
  if (transport === "websocket") {
    if (addresses.webSocketUrl === undefined || platform.WebSocket === undefined)
      throw new Error("there is no WebSocket");
    return openWebSocket(addresses.webSocketUrl, platform.WebSocket, platform, events);
  }
  return openHttp(transport === "sse" ? SseLink : PollLink, addresses, token, platform, events);
};

function openHttp(
  Way: typeof SseLink | typeof PollLink,
  addresses: Addresses,
  token: string | undefined,
  platform: Platform,
  events: LinkEvents,
): Link {
  if (addresses.httpUrl === undefined || platform.fetch === undefined) throw new Error("there is no HTTP");
  return new Way(addresses.httpUrl.replace(/\/+$/, ""), token, platform.fetch, platform, events);
}
