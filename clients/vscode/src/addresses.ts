/** Addresses as they stand in the settings, and whose a token is. Pure. */

/** Without a slash at its end; undefined where nothing is set. Throws, for the user to read, where it is no address. */
export function addressIn(setting: string, value: unknown, protocols: readonly string[]): string | undefined {
  if (value === undefined || value === null || value === "") return undefined;
  const text = typeof value === "string" ? value.trim() : JSON.stringify(value);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !protocols.includes(url.protocol)) {
    const wanted = protocols.map((protocol) => `${protocol}//…`).join(" or ");
    throw new Error(`expected ${setting} to be an address (${wanted}), got "${text}"`);
  }
  return url.href.replace(/\/$/, "");
}

/** Under which name the token is kept: one that was given for a server is for no other. */
export function tokenKey(addresses: { readonly webSocketUrl?: string; readonly httpUrl?: string }): string {
  return `token for ${addresses.webSocketUrl ?? ""} ${addresses.httpUrl ?? ""}`;
}

/** Why a text can be no token, for an input field; undefined where it can. */
export function troubleWithToken(text: string): string | undefined {
  const token = text.trim();
  if (token === "") return "expected a token, got nothing";
  if (token.length > 16_384) return `expected at most 16384 characters, got ${token.length}`;
  return /^[\x21-\x7e]+$/.test(token) ? undefined : "expected letters, digits and signs without spaces";
}

/** Whose token it is, by its own word: good enough to keep apart what different people said. "" where it does not say. */
export function subjectOf(token: string): string {
  try {
    const claims: unknown = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8"));
    const { sub } = claims as { readonly sub?: unknown };
    return typeof sub === "string" ? sub : "";
  } catch {
    return "";
  }
}
