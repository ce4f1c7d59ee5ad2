"""Encrypted connections: real handshakes with certificates of the test's own, through both doors."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.asyncio.client import connect

from engine import StartError
from engine.core.refusal import Refused
from engine.settings import Tls
from engine.transport.tls import server_context

DAY = datetime.timedelta(days=1)
WITHIN_S = 20.0  # only a hang takes as long
NO_PASSWORD = serialization.NoEncryption()


def write_certificate(folder: Path, name: str, encryption: Any = NO_PASSWORD) -> Tls:
    """One that signs itself, for this machine."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + DAY)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    tls = Tls(folder / "server.pem", folder / "server.key")
    form = serialization.PrivateFormat.PKCS8
    for path, content in (
        (tls.certificate, certificate.public_bytes(serialization.Encoding.PEM)),
        (tls.key, key.private_bytes(serialization.Encoding.PEM, form, encryption)),
    ):
        beside = path.with_suffix(".new")
        beside.write_bytes(content)
        beside.replace(path)
    return tls


def trusting(tls: Tls) -> ssl.SSLContext:
    """What a client needs that trusts the certificate as it stands in the file now."""
    return ssl.create_default_context(cafile=str(tls.certificate))


async def answers(server: Any, trust: ssl.SSLContext) -> bool:
    """Whether both doors answer a client with this trust. They do so alike."""
    over_http = over_websocket = True
    try:
        async with aiohttp.ClientSession() as http, http.get(f"{server.http_url}/healthz", ssl=trust) as response:
            over_http = response.status == 200
    except aiohttp.ClientConnectorCertificateError:
        over_http = False
    try:
        async with connect(server.ws_url, ssl=trust) as socket:
            await socket.send('{"type": "ping"}')
            over_websocket = "pong" in str(await socket.recv())
    except ssl.SSLCertVerificationError:
        over_websocket = False
    assert over_http == over_websocket
    return over_http


async def test_both_doors_speak_tls_and_take_up_a_renewed_certificate(start_server: Any, tmp_path: Path) -> None:
    tls = write_certificate(tmp_path, "first")
    server = await start_server(tls=tls)
    assert server.http_url.startswith("https://")
    assert server.ws_url.startswith("wss://")
    first = trusting(tls)
    assert await answers(server, first)
    write_certificate(tmp_path, "second")
    assert await answers(server, trusting(tls))
    assert not await answers(server, first)
    second = trusting(tls)
    tls.key.write_text("no key")
    assert await answers(server, second), "the former holds"


async def test_nobody_gets_in_unencrypted(start_server: Any, tmp_path: Path) -> None:
    server = await start_server(tls=write_certificate(tmp_path, "mine"))
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.ClientError):
            await http.get(server.http_url.replace("https", "http") + "/healthz")


def test_versions_that_are_broken_are_not_spoken(tmp_path: Path) -> None:
    context = server_context(write_certificate(tmp_path, "mine"))
    assert context is not None
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert server_context(None) is None


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    tls = write_certificate(tmp_path, "mine")
    with pytest.raises(Refused, match=r"none\.pem: cannot be read: no such file or directory"):
        server_context(Tls(tmp_path / "none.pem", tls.key))
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(Refused, match="key values mismatch"):
        server_context(Tls(tls.certificate, write_certificate(other, "other").key))
    with pytest.raises(Refused, match="expected a certificate and its key in PEM"):
        server_context(Tls(tls.key, tls.key))


async def test_a_key_with_a_password_is_refused_and_not_asked_for(start_server: Any, tmp_path: Path) -> None:
    tls = write_certificate(tmp_path, "mine", serialization.BestAvailableEncryption(b"word"))
    with pytest.raises(StartError, match="the key has a password; take it off"):
        await start_server(tls=tls)


async def test_who_is_amid_the_handshake_when_the_server_stops_does_not_keep_it_from_stopping(
    tmp_path: Path, start_server: Any
) -> None:
    tls = write_certificate(tmp_path, "server")
    server = await start_server(tls=tls)
    port = int(server.ws_url.rpartition(":")[2])
    request = (
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    # One that does not agree to the closing, so that there is time for the other to end its handshake.
    there, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting(tls))
    writer.write(request)
    await there.readuntil(b"\r\n\r\n")
    late, late_writer = await asyncio.open_connection("127.0.0.1", port)
    await server.health()
    stopping = asyncio.ensure_future(server.stop())
    assert (await there.readexactly(1)) == b"\x88"
    with suppress(OSError, asyncio.IncompleteReadError):
        await late_writer.start_tls(trusting(tls), server_hostname="127.0.0.1")
        late_writer.write(request)
        await late.readuntil(b"\r\n\r\n")
    async with asyncio.timeout(WITHIN_S):
        await stopping
    for one in (writer, late_writer):
        one.close()
