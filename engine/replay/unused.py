"""Options of logs that no log has a use for: whoever gave them is to know. It reads no more than a beginning."""

from __future__ import annotations

from engine.loading.wording import listed
from engine.replay.formats.base import Format, Option, Settings, UnknownForm
from engine.replay.formats.registry import FORMATS, OWN, head_of


class Unused:
    """What was given, less what the logs so far had a use for. Of several logs one is enough."""

    def __init__(self, settings: Settings) -> None:
        self._left: list[Option] = [] if settings.source is not None else list(settings.given)
        self._forms: dict[str, None] = {}  # that were met, each once

    def met(self, log: str, reader: Format | None, *, is_alone: bool) -> None:
        """A log of that format is there, None for the engine's own. Raises `UnknownForm` where it ``is_alone`` and has
        no use for an option: then nothing needs to be read to know it. What is empty is of no format."""
        if not self._left or is_empty(log):
            return
        uses = () if reader is None else reader.options
        self._left = [option for option in self._left if option not in uses]
        self._forms[OWN if reader is None else reader.name] = None
        if is_alone:
            self.refuse([log])

    def refuse(self, logs: list[str]) -> None:
        """Raises `UnknownForm` where an option is left, and there was anything at all."""
        if not self._left or not self._forms:
            return
        option, names = self._left[0], list(self._forms)
        has = "has" if len(names) == 1 else "have"
        users = [known.name for known in FORMATS if option in known.options]
        hint = "; of JSON or CSV of another form a mapping says it, --source" if OWN in self._forms else ""
        raise UnknownForm(
            f"{', '.join(logs)}: {listed(names, 'and', most=len(names))} {has} no use for {option},"
            f" which is for {listed(users, 'and', most=len(users))}{hint}"
        )


def is_empty(log: str) -> bool:
    """Whether there is nothing in it but space. Raises OSError."""
    head = head_of(log)
    return not head.is_folder and not head.start.strip()
