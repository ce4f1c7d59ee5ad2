"""The one way a pure function says that what an author wrote cannot be meant."""

from __future__ import annotations


class Refused(ValueError):
    """A text or value that is not what the language allows, with all it takes to say so well.

    ``offset`` is the character within the refused text at which the trouble lies (0 where it is the whole),
    ``under`` the key whose value is meant, where a mapping was refused and it is not the whole, ``item`` the text
    that is meant where that value is a list of several,
    ``code`` the short name that stands in brackets behind the message, ``hint`` how to mend it, or "".
    The loader turns it into a `Diagnostic` by adding the file and position of the text.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "bad-value",
        offset: int = 0,
        under: str = "",
        item: str | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.offset = offset
        self.under = under
        self.item = item
        self.hint = hint
