/** Which events that wait may not be told any more, for the user has changed their mind since. Pure. */

import type { ClientEvent } from "@proactive/client";
import { OMITTED, REPORTERS, type ReporterName } from "./activity/catalogue.js";
import { fieldsOf } from "./record.js";

/** What the user lets be told now. */
export interface Wanted {
  allows(reporter: ReporterName): boolean;
  readonly includesText: boolean;
  /** Whether this path in the workspace is one that nobody is told. */
  isSecret(file: string): boolean;
}

/** Never what the user said: that no reporter tells. */
export function isUnwanted(event: ClientEvent, wanted: Wanted): boolean {
  const reporter = reporterOf(event);
  if (reporter === undefined) return false;
  const { text, message, file } = fieldsOf(event);
  const hasText = text !== undefined || message !== undefined;
  const isSecret = typeof file === "string" && wanted.isSecret(file);
  return !wanted.allows(reporter) || isSecret || (hasText && !wanted.includesText);
}

function reporterOf(event: ClientEvent): ReporterName | undefined {
  const isIts = ({ name, events }: (typeof REPORTERS)[number]): boolean =>
    event.type === OMITTED.type ? fieldsOf(event)["reporter"] === name : events.some(({ type }) => type === event.type);
  return REPORTERS.find(isIts)?.name;
}
