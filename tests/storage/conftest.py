from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from samples_for_stores import make_store

from engine.storage.base import Store


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    store = await make_store(request.param, tmp_path)
    yield store
    await store.close()
