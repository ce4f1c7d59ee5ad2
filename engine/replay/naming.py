"""What logs are called, as far as it says something of their events. It opens none."""

from __future__ import annotations

import re

from engine.replay.blocks import STDIN

_ENDINGS = re.compile(r"(?:\.(?:gz|zst|txt|log|html?|jsonl?|ndjson|csv|tsv|parquet))+$", re.IGNORECASE)
_ARCHIVE = re.compile(r".*\.(?:tar|tgz|tar\.\w+):", re.IGNORECASE)  # what a log in an archive has before its name


def name_of(log: str) -> str | None:
    """The name without its folders and endings: ``logs/2026-03-27.txt.gz`` is ``2026-03-27``; None where none is."""
    name = _ARCHIVE.sub("", log).replace("\\", "/").rstrip("/").rpartition("/")[2]
    return None if log == STDIN else _ENDINGS.sub("", name) or None


def path_of(log: str, given: str) -> str | None:
    """Where it lies in the folder or archive that was given, without endings: ``a/b.json`` in ``logs`` is ``a/b``."""
    if log == given or not log.startswith(given):
        return name_of(log)
    return _ENDINGS.sub("", log[len(given) :].replace("\\", "/").lstrip("/:")) or None
