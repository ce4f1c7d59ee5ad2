"""Requests to the server that is measured, on one connection that stays open. For measuring, for nothing else."""

from __future__ import annotations

import asyncio
import json
from typing import Any


class Http:
    """One request after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> Http:
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=16 * 1024 * 1024))

    async def ask(self, method: str, path: str, value: Any = None) -> Any:
        """What the body of the reply says. Raises `RuntimeError` where it is no success."""
        body = b"" if value is None else json.dumps(value).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        self._writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        fields = dict(line.lower().split(": ", 1) for line in answer.split("\r\n")[1:] if ": " in line)
        found = await self._reader.readexactly(int(fields["content-length"]))
        if not answer.split()[1].startswith("2"):
            raise RuntimeError(f"{method} {path}: {answer.splitlines()[0]} {found[:500]!r}")
        return json.loads(found)

    def close(self) -> None:
        self._writer.close()
