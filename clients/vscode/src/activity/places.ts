/** What may be told of where a document is. Names alone decide; nothing is read. */

import type { Place } from "./editor.js";

/** Names of files and folders that stand for secrets: paths with one of these in them are told to nobody, whatever git makes of them. */
const SECRET = new RegExp(
  [
    String.raw`(?:^|/)(?:\.env(?:\.[^/]*)?|[^/]*\.env)(?:/|$)`,
    String.raw`(?:^|/)\.(?:netrc|npmrc|pypirc|pgpass|my\.cnf|s3cfg|htpasswd|git-credentials|vault-token|envrc|dockercfg)$`,
    String.raw`(?:^|/)_netrc$`,
    String.raw`(?:^|/)(?:id_(?:rsa|dsa|ecdsa|ed25519))(?:\.[^/]*)?$`,
    String.raw`\.(?:pem|key|crt|cer|cert|der|p7b|p8|p12|pfx|jks|keystore|keytab|kdbx|ppk|asc|gpg|age|tfvars|tfstate)$`,
    // Folders, too.
    String.raw`secret|credential|password|passwd|(?:private|ssh)[-_. ]?keys?(?![a-z])|service[-_. ]?account[^/]*\.json$`,
    String.raw`(?:^|/)\.(?:ssh|aws|gnupg|azure|kube|docker|git)/`,
  ].join("|"),
  "i",
);

/** Of a path in an event, in UTF-16 units. */
export const PATH_MAX = 500;

/**
 * `path` has `/` between its parts. `relative` is the path in the workspace, undefined outside of it.
 * `patterns` are the user's own, as of `proactive.activity.secret`.
 */
export function placeOf(relative: string | undefined, isUntitled: boolean, patterns: readonly RegExp[]): Place {
  if (isUntitled) return { kind: "untitled" };
  if (relative === undefined) return { kind: "outside" };
  if (SECRET.test(relative) || patterns.some((pattern) => pattern.test(relative))) return { kind: "secret" };
  return { kind: "file", file: relative.slice(-PATH_MAX) };
}

/** As `placeOf`, of a path in the workspace as a program writes it: one that leads out of it is outside. */
export function placeNamed(path: string, patterns: readonly RegExp[]): Place {
  const parts = path.split(/[\\/]/);
  const isOutside = /^(?:[\\/]|[A-Za-z]:|\w+:\/\/)/.test(path) || parts.includes("..");
  return placeOf(isOutside ? undefined : parts.filter((part) => part !== ".").join("/"), false, patterns);
}

/** The fields of an event that say where it was. */
export function placed(place: Place): { readonly file: string } | { readonly kind: string } {
  return place.kind === "file" ? { file: place.file } : { kind: place.kind };
}

/** `*` is any run of characters but `/`, `**` any run, `?` one character. A pattern without `/` is the name of a file or folder anywhere. */
export function pattern(glob: string): RegExp {
  const source = glob
    .split(/(\*\*\/?|\*|\?)/)
    .map((part) => {
      if (part.startsWith("**")) return ".*";
      if (part === "*") return "[^/]*";
      return part === "?" ? "[^/]" : part.replace(/[.+^${}()|[\]\\]/g, "\\$&");
    })
    .join("");
  return new RegExp(glob.includes("/") ? `^${source}(?:/|$)` : `(?:^|/)${source}(?:/|$)`, "i");
}
