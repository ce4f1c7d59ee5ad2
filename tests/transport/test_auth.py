"""Who may speak: clients by their tokens, backends by their keys, and what either is told."""

from __future__ import annotations

import json
from pathlib import Path

import jwt
import pytest
import structlog

from engine.core.units import MINUTE, SECOND
from engine.settings import Auth, Tokens
from engine.transport.auth import SCOPES, Authenticator, Identity, bearer, is_backend_key
from engine.transport.decoding import WireError
from engine.transport.keys import new_key, write_keys

SECRET = "s" * 32
NOW_S = 1_700_000_000
TOKENS = Tokens(secret=SECRET)


def clock() -> int:
    return NOW_S * SECOND


def token(user: str = "ann", exp: int = NOW_S + 60, secret: str = SECRET) -> str:
    return jwt.encode({"sub": user, "exp": exp}, secret, algorithm="HS256")


def refusal(auth: Auth, *, brought: str | None = None) -> WireError:
    with pytest.raises(WireError) as refused:
        Authenticator(auth, clock).client(brought)
    return refused.value


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A file with a key for messages and one for all, and the keys."""
    path = tmp_path / "keys.json"
    made = {"sender": new_key("sender", ["messages"], "now"), "all": new_key("all", SCOPES, "now")}
    write_keys(path, [kept for _, kept in made.values()])
    return path, {name: key for name, (key, _) in made.items()}


def test_without_tokens_the_frames_are_believed() -> None:
    authenticator = Authenticator(Auth(), clock)
    assert not authenticator.is_on
    identity = authenticator.client("whatever")
    assert identity == Identity(None, "open")
    assert identity.speaks_for("ann") == "ann"
    for scope in SCOPES:
        authenticator.backend(None, scope)


def test_the_user_comes_from_the_token_and_never_from_the_frame() -> None:
    identity = Authenticator(Auth(TOKENS), clock).client(token("ann"))
    assert (identity.user, identity.kind) == ("ann", "token")
    assert identity.speaks_for(None) == identity.speaks_for("ann") == "ann"
    with pytest.raises(WireError, match="forbidden"):
        identity.speaks_for("bob")


def test_an_anonymous_client_is_nobody_it_names() -> None:
    identity = Authenticator(Auth(TOKENS), clock).client(None)
    assert identity.kind == "anonymous"
    assert identity.speaks_for("ann") is None
    assert refusal(Auth(TOKENS, anonymous_chat=False)).code == "unauthorized"


def test_a_connection_outlives_its_token_by_the_leeway_and_no_longer() -> None:
    identity = Authenticator(Auth(TOKENS), clock).client(token(exp=NOW_S + 60))
    assert identity.expires_at is not None
    assert not identity.has_expired(identity.expires_at - 1)
    assert identity.has_expired(identity.expires_at)
    assert identity.expires_at == clock() + MINUTE + TOKENS.leeway
    assert not Identity(None, "open").has_expired(clock())


def test_a_refusal_says_nothing_of_what_was_wrong() -> None:
    bad = [token(secret="t" * 32), "x", "", "pk_" + "a" * 43, token()[:-3], token(user="")]
    assert len({refusal(Auth(TOKENS), brought=text).message for text in bad}) == 1
    assert refusal(Auth(TOKENS), brought=token(exp=1)).message == "the token has expired; come with a fresh one"


def test_the_log_has_the_reason_and_not_the_token() -> None:
    brought = token(secret="t" * 32)
    with structlog.testing.capture_logs() as lines:
        refusal(Auth(TOKENS), brought=brought)
    assert lines == [{"event": "! token refused", "why": "Signature verification failed", "log_level": "info"}]


def test_a_key_opens_what_its_scopes_name(keys: tuple[Path, dict[str, str]]) -> None:
    path, known = keys
    authenticator = Authenticator(Auth(TOKENS, backend_keys=path), clock)
    for scope in SCOPES:
        authenticator.backend(f"Bearer {known['all']}", scope)
    authenticator.backend(f"bearer   {known['sender']} ", "messages")
    with pytest.raises(WireError) as refused:
        authenticator.backend(f"Bearer {known['sender']}", "users")
    assert refused.value.code == "forbidden"


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Bearer pk_x", "Basic KEY", "KEY", "Bearer KEYx"])
def test_without_a_known_key_nothing_opens(keys: tuple[Path, dict[str, str]], header: str | None) -> None:
    path, known = keys
    said = None if header is None else header.replace("KEY", known["all"])
    with pytest.raises(WireError) as refused:
        Authenticator(Auth(TOKENS, backend_keys=path), clock).backend(said, "messages")
    assert refused.value.code == "unauthorized"


def test_a_token_is_no_key_and_tokens_without_keys_let_no_backend_in() -> None:
    for header in (None, f"Bearer {token()}"):
        with pytest.raises(WireError, match="unauthorized"):
            Authenticator(Auth(TOKENS), clock).backend(header, "users")


def test_keys_alone_leave_clients_open(keys: tuple[Path, dict[str, str]]) -> None:
    authenticator = Authenticator(Auth(backend_keys=keys[0]), clock)
    assert authenticator.client(None).kind == "open"
    with pytest.raises(WireError, match="unauthorized"):
        authenticator.backend(None, "rules")


def test_a_revoked_key_opens_nothing_any_more(keys: tuple[Path, dict[str, str]]) -> None:
    path, known = keys
    authenticator = Authenticator(Auth(backend_keys=path), clock)
    authenticator.backend(f"Bearer {known['all']}", "users")
    kept = json.loads(path.read_text())["keys"]
    assert [key["name"] for key in kept] == ["sender", "all"]
    write_keys(path, [])
    with pytest.raises(WireError, match="unauthorized"):
        authenticator.backend(f"Bearer {known['all']}", "users")


@pytest.mark.parametrize(
    ("header", "credentials"),
    [(None, None), ("Bearer a", "a"), ("BEARER a", "a"), ("Bearer  a ", "a"), ("Bearera", None), ("Basic a", None)],
)
def test_credentials_stand_behind_bearer(header: str | None, credentials: str | None) -> None:
    assert bearer(header) == credentials


def test_keys_are_told_from_tokens() -> None:
    assert is_backend_key("pk_x")
    assert not is_backend_key(token())
    assert not is_backend_key(None)
