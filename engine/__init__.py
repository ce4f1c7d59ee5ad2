"""A rule-driven proactive engagement engine. ``from engine import Server`` to embed it: see `engine.app`.

Importing the package loads nothing else: a name is looked up in its module when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.app import Server
    from engine.inbox import Overloaded
    from engine.loading.diagnostic import RuleErrors
    from engine.parts import StartError
    from engine.responders.base import ChatMessage
    from engine.settings_file import SettingsErrors
    from engine.storage.base import StoreError, StoreUnusable
    from engine.transport.desk import Sent

__version__ = "0.1.0"
__all__ = [
    "ChatMessage",
    "Overloaded",
    "RuleErrors",
    "Sent",
    "Server",
    "SettingsErrors",
    "StartError",
    "StoreError",
    "StoreUnusable",
    "__version__",
]
_MODULES = {
    "ChatMessage": "engine.responders.base",
    "Overloaded": "engine.inbox",
    "RuleErrors": "engine.loading.diagnostic",
    "Sent": "engine.transport.desk",
    "Server": "engine.app",
    "SettingsErrors": "engine.settings_file",
    "StartError": "engine.parts",
    "StoreError": "engine.storage.base",
    "StoreUnusable": "engine.storage.base",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
