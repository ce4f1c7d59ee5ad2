"""A server in a process of its own whose responder is a model, for tests that end it and start it again."""

from __future__ import annotations

from tests.chaos.server import ServerProcess

RULES = """\
version: 1
rules:
  - id: hint
    trigger: {event: test.failed}
    message: {type: suggestion, text: "Want a hint about {{ event.test }}?", compose: "A hint about {{ event.test }}."}
"""


class Process(ServerProcess):
    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.ws_port}"

    @property
    def http_url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"


def settings(url: str) -> str:
    return f"""\
ws_port: 0
http_port: 0
rules: rules
store: sqlite:store.db
responder: openai
compose_timeout: 10m
resume_within: 10m
openai: {{url: "{url}", model: tutor}}
"""
