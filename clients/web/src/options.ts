/** What the widget is told: by the attributes of its script tag, or by a program. It connects to nothing. */

/** How to connect, and as whom. All may be left out on a page of the server's own. */
export interface WidgetOptions {
  /** Where the server is, such as `https://proactive.example:7777`; by default where the script came from. */
  readonly http?: string;
  /** Its WebSocket, such as `wss://proactive.example:7778`; without it and without a port the widget goes by HTTP. */
  readonly webSocket?: string;
  /** The port of its WebSocket, where all else is as in `http`. */
  readonly webSocketPort?: number;
  /** Who the user is, where the server asks for no token; by default a name made up for this browser. */
  readonly user?: string;
  /** Says who the user is. A function is asked before every connection for a fresh one. */
  readonly token?: string | (() => string | Promise<string>);
  /** An address of the page's own that replies with a token as text; asked with the page's cookies. */
  readonly tokenUrl?: string;
  /** What the pages that share a conversation call themselves. */
  readonly app?: string;
  /** What stands at the top. */
  readonly title?: string;
  /** Whether the panel is open from the start, where there is room beside it. */
  readonly open?: boolean;
  /** Whether the conversation is kept for the next page in this tab (`sessionStorage`); it is unless this is false. */
  readonly keep?: boolean;
}

/** The attributes as they stand on the tag, `data-web-socket-port` as `webSocketPort`. */
export function optionsOf(data: Readonly<Record<string, string | undefined>>): WidgetOptions {
  const port = data["webSocketPort"];
  const texts = ["http", "webSocket", "user", "tokenUrl", "app", "title"] as const;
  const given = texts.flatMap((name) => (data[name] ? [[name, data[name]]] : []));
  return {
    ...(Object.fromEntries(given) as WidgetOptions),
    ...(port === undefined || port === "" ? {} : { webSocketPort: portOf(port) }),
    open: data["open"] !== undefined && data["open"] !== "false",
    keep: data["keep"] !== "false",
  };
}

function portOf(text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port >= 1 && port <= 65535) return port;
  throw new Error(`expected data-web-socket-port to be a port, a number from 1 to 65535, got "${text}"`);
}

/** Both addresses of the server. `origin`: where the script came from. Throws for what is no address. */
export function addressesOf(options: WidgetOptions, origin: string): { httpUrl: string; webSocketUrl?: string } {
  const http = new URL(options.http ?? origin);
  if (http.protocol !== "http:" && http.protocol !== "https:") {
    throw new Error(
      `expected the address of a server (http: or https:), got "${http.href}"; say data-http="https://…"`,
    );
  }
  const httpUrl = http.href.replace(/\/$/, "");
  if (options.webSocket !== undefined) return { httpUrl, webSocketUrl: options.webSocket };
  if (options.webSocketPort === undefined) return { httpUrl };
  const scheme = http.protocol === "https:" ? "wss" : "ws";
  return { httpUrl, webSocketUrl: `${scheme}://${http.hostname}:${options.webSocketPort}` };
}
