"""The names of all targets, and where each is. A target is imported when it is asked for, and nothing else is."""

from __future__ import annotations

from importlib import import_module

from fuzz.target import Target

# Name → module and name in it.
TARGETS = {
    "frames": ("frames", "FRAMES"),
    "hello": ("sessions", "HELLOS"),
    "connections": ("sessions", "CONNECTIONS"),
    "peers": ("peers", "PEERS"),
    "bodies": ("frames", "BODIES"),
    "framing": ("sockets", "FRAMING"),
    "openings": ("sockets", "OPENINGS"),
    "rules": ("rules", "RULES"),
    "expressions": ("texts", "EXPRESSIONS"),
    "templates": ("texts", "TEMPLATES"),
    "notation": ("texts", "NOTATION"),
    "entries": ("stored", "ENTRIES"),
    "states": ("stored", "STATES"),
}


def target(name: str) -> Target:
    module, attribute = TARGETS[name]
    found = getattr(import_module(f"fuzz.{module}"), attribute)
    assert isinstance(found, Target)
    return found
