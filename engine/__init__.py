"""A rule-driven proactive engagement engine. ``from engine import Server`` to embed it: see `engine.app`.

Importing the package loads nothing else: `Server` is looked up when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.app import Server
    from engine.responders.base import ChatMessage

__version__ = "0.1.0"
__all__ = ["ChatMessage", "Server", "__version__"]


def __getattr__(name: str) -> Any:
    if name == "Server":
        from engine.app import Server

        return Server
    if name == "ChatMessage":
        from engine.responders.base import ChatMessage

        return ChatMessage
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
