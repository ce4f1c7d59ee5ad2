/** Makes elements. Text is only ever put in as text: there is no way here to put in HTML. */

type Given<Tag extends keyof HTMLElementTagNameMap> = {
  readonly class?: string;
  /** Attributes; false leaves one out, true has it without a value. */
  readonly attributes?: Readonly<Record<string, string | number | boolean>>;
  readonly onClick?: (event: MouseEvent) => void;
  readonly properties?: Partial<HTMLElementTagNameMap[Tag]>;
};

export type Child = Node | string;

export function make<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  given: Given<Tag> = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  if (given.class !== undefined) made.className = given.class;
  for (const [name, value] of Object.entries(given.attributes ?? {})) {
    if (value !== false) made.setAttribute(name, value === true ? "" : String(value));
  }
  Object.assign(made, given.properties ?? {});
  const { onClick } = given;
  if (onClick !== undefined) made.addEventListener("click", (event) => onClick(event as MouseEvent));
  made.append(...children);
  return made;
}

/** A button that sends no form. `label` is what a screen reader says instead of `text`. */
export function button(
  text: string,
  onClick: () => void,
  given: { readonly class?: string; readonly label?: string } = {},
): HTMLButtonElement {
  return make(
    "button",
    {
      class: given.class ?? "plain",
      attributes: { type: "button", "aria-label": given.label ?? false },
      onClick,
    },
    text,
  );
}
