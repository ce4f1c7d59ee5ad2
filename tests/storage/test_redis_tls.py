"""A store behind TLS: whose certificate is trusted, and whose is not."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis_server import SERVER, cluster, free_port, running
from samples_for_stores import ANN, PARTITION_COUNT, event

from engine.storage.base import StoreUnusable
from engine.storage.opening import open_store
from engine.storage.redis import RedisStore
from engine.storage.redis_opening import address_of


@dataclass(frozen=True)
class Certificate:
    path: Path
    key: Path

    @property
    def options(self) -> list[str]:
        """Of a Redis that has it, and asks its clients for none."""
        own = ["--tls-cert-file", str(self.path), "--tls-key-file", str(self.key)]
        return [*own, "--tls-ca-cert-file", str(self.path), "--tls-auth-clients", "no"]


def certificate(folder: Path, name: str) -> Certificate:
    """One of our own making, as docs/operating.md makes it."""
    made = Certificate(folder / "server.pem", folder / "server.key")
    words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(made.key), "-out", str(made.path)]
    named = ["-days", "2", "-subj", "/CN=store", "-addext", f"subjectAltName={name}"]
    subprocess.run(["openssl", *words, *named], check=True, capture_output=True)
    return made


@pytest.fixture(params=["IP:127.0.0.1"])
def behind_tls(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Certificate]]:
    """The word for a store there, and its certificate, for the name that is the parameter."""
    made = certificate(tmp_path, request.param)
    port = free_port()
    with running(tmp_path, SERVER, "--tls-port", str(port), *made.options):
        yield f"rediss://127.0.0.1:{port}/0", made


async def test_a_store_behind_tls_is_one_as_any_other(
    behind_tls: tuple[str, Certificate], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, made = behind_tls
    monkeypatch.setenv("SSL_CERT_FILE", str(made.path))
    store = await open_store(url)
    await store.append([event(ANN, 1)])
    assert (await store.describe())["entries"] == 1
    await store.close()


async def test_a_certificate_that_nobody_trusts_is_refused(behind_tls: tuple[str, Certificate]) -> None:
    with pytest.raises(StoreUnusable, match=r"certificate verify failed.*SSL_CERT_FILE"):
        await open_store(behind_tls[0])


@pytest.mark.parametrize("behind_tls", ["DNS:other.example"], indirect=True)
async def test_a_certificate_for_another_name_is_refused(
    behind_tls: tuple[str, Certificate], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, made = behind_tls
    monkeypatch.setenv("SSL_CERT_FILE", str(made.path))
    with pytest.raises(StoreUnusable, match=r"certificate verify failed.*SSL_CERT_FILE"):
        await open_store(url)


async def test_who_speaks_without_tls_to_a_door_for_tls_is_told(behind_tls: tuple[str, Certificate]) -> None:
    with pytest.raises(StoreUnusable, match="cannot be reached"):
        await open_store(behind_tls[0].replace("rediss", "redis"))


async def test_a_cluster_behind_tls_is_one_as_any_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = certificate(tmp_path, "IP:127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(made.path))
    with cluster(tmp_path, *made.options, with_tls=True) as three:
        store = await RedisStore.open(address_of(three.url), partition_count=PARTITION_COUNT)
        assert three.url.startswith("rediss+cluster://")
        for at in range(3):
            await store.append([event(f"{ANN}{at}", at)])
        assert (await store.describe())["entries"] == 3
        await store.close()
