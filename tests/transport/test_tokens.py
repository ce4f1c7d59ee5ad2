"""Tokens of clients: every claim at its edge, and every known way to forge one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from engine.core.refusal import Refused
from engine.core.units import SECOND
from engine.settings import Tokens
from engine.transport.decoding import NAME_LENGTH_MAX
from engine.transport.tokens import TOKEN_BYTES_MAX, Claims, TokenRefused, TokenVerifier, read_jwks

SECRET = "s" * 32
NOW_S = 1_700_000_000
HS = Tokens(secret=SECRET, leeway=30 * SECOND)
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


def clock() -> int:
    return NOW_S * SECOND


def token(claims: dict[str, Any] | None = None, *, drop: str = "", key: Any = SECRET, **more: Any) -> str:
    said = {"sub": "ann", "exp": NOW_S + 60, **(claims or {})}
    said.pop(drop, None)
    return jwt.encode(said, key, **{"algorithm": "HS256", **more})


def b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def by_hand(header: Any, payload: Any, sign: Callable[[bytes], bytes]) -> str:
    """A token of whatever kind, also one that no library would make."""
    parts = [b64(part if isinstance(part, bytes) else json.dumps(part).encode()) for part in (header, payload)]
    signed = ".".join(parts)
    return f"{signed}.{b64(sign(signed.encode()))}"


def hmac_with(secret: bytes) -> Callable[[bytes], bytes]:
    return lambda signed: hmac.new(secret, signed, hashlib.sha256).digest()


def jwk(key: Any, **more: Any) -> dict[str, Any]:
    kind = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPublicKey) else jwt.algorithms.ECAlgorithm
    return {**kind.to_jwk(key, as_dict=True), **more}


def write_jwks(folder: Path, *keys: dict[str, Any]) -> Path:
    path = folder / "jwks.json"
    beside = folder / "jwks.new"
    beside.write_text(json.dumps({"keys": list(keys)}))
    beside.replace(path)
    return path


def verify(settings: Tokens, text: str) -> Claims:
    return TokenVerifier(settings, clock).verify(text)


def why(settings: Tokens, text: str) -> str:
    with pytest.raises(TokenRefused) as refused:
        verify(settings, text)
    return refused.value.why


def test_a_good_token_names_its_user_and_its_end() -> None:
    found = verify(HS, token({"traits": {"plan": "pro"}}))
    assert found == Claims("ann", (NOW_S + 60 + 30) * SECOND, {"plan": "pro"})


@pytest.mark.parametrize(
    ("claims", "drop", "reason"),
    [
        ({}, "exp", 'Token is missing the "exp" claim'),
        ({"exp": NOW_S - 29}, "", None),
        ({"exp": NOW_S - 30}, "", "it has expired (exp)"),
        ({"exp": NOW_S + 0.5}, "", None),
        ({"exp": str(NOW_S + 60)}, "", "exp is no number of seconds"),
        ({"exp": True}, "", "exp is no number of seconds"),
        ({"exp": None}, "", 'Token is missing the "exp" claim'),
        ({"exp": float("inf")}, "", "exp is no number of seconds"),
        ({"exp": float("nan")}, "", "exp is no number of seconds"),
        ({"exp": 10**400}, "", "exp is no number of seconds"),
        ({"nbf": NOW_S + 30}, "", None),
        ({"nbf": NOW_S + 31}, "", "it holds only later (nbf)"),
        ({"nbf": "soon"}, "", "nbf is no number of seconds"),
        ({}, "sub", 'Token is missing the "sub" claim'),
        ({"sub": ""}, "", "sub is no text of 1 to 128 printable characters"),
        ({"sub": "u" * NAME_LENGTH_MAX}, "", None),
        ({"sub": "u" * (NAME_LENGTH_MAX + 1)}, "", "sub is no text of 1 to 128 printable characters"),
        ({"sub": 7}, "", "sub is no text of 1 to 128 printable characters"),
        ({"sub": ["ann"]}, "", "sub is no text of 1 to 128 printable characters"),
        ({"sub": "ann\nbob"}, "", "sub is no text of 1 to 128 printable characters"),
        ({"sub": "\u202eann"}, "", "sub is no text of 1 to 128 printable characters"),
        ({"sub": "Zoë 李"}, "", None),
        ({"aud": "other"}, "", "Invalid audience"),
        ({"iss": "anybody"}, "", None),
        ({"traits": "pro"}, "", "traits is no object"),
        ({"traits": {"n": 2**64}}, "", "traits: expected integers of at most 64 bits, got one of 65"),
    ],
)
def test_every_claim_is_held_to_what_it_has_to_be(claims: dict[str, Any], drop: str, reason: str | None) -> None:
    if reason is None:
        assert verify(HS, token(claims, drop=drop)).user
    else:
        assert why(HS, token(claims, drop=drop)) == reason


@pytest.mark.parametrize(
    ("claims", "good"),
    [
        ({"aud": "mine", "iss": "us"}, True),
        ({"aud": ["others", "mine"], "iss": "us"}, True),
        ({"aud": "others", "iss": "us"}, False),
        ({"aud": [], "iss": "us"}, False),
        ({"aud": {"mine": 1}, "iss": "us"}, False),
        ({"iss": "us"}, False),
        ({"aud": "mine"}, False),
        ({"aud": "mine", "iss": "us2"}, False),
    ],
)
def test_audience_and_issuer_have_to_be_the_named_ones(claims: dict[str, Any], good: bool) -> None:
    settings = replace(HS, audience="mine", issuer="us")
    if good:
        assert verify(settings, token(claims)).user == "ann"
    else:
        why(settings, token(claims))
    why(settings, by_hand({"alg": "HS256"}, {**GOOD, "aud": "mine", "iss": ["us"]}, hmac_with(SECRET.encode())))


def test_the_user_stands_in_the_claim_that_the_settings_name() -> None:
    settings = replace(HS, user_claim="email")
    assert verify(settings, token({"email": "ann@example.com", "sub": "7"})).user == "ann@example.com"
    assert why(settings, token()) == 'Token is missing the "email" claim'


def test_only_a_good_token_can_have_expired() -> None:
    for text, has_expired in ((token({"exp": 1}), True), (token({"exp": 1}, key="t" * 32), False)):
        with pytest.raises(TokenRefused) as refused:
            verify(HS, text)
        assert refused.value.has_expired is has_expired


def public_pem(key: Any) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return bytes(key.public_bytes(serialization.Encoding.PEM, form))


GOOD = {"sub": "ann", "exp": NOW_S + 60}


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "a.b.c",
        "Zoë.x.y",
        "\ud800",
        token(key="t" * 32),
        token() + "x",
        token()[:-2],
        token(algorithm="HS512", key="s" * 64),
        by_hand({"alg": "none"}, GOOD, lambda _: b""),
        by_hand({"alg": "None"}, GOOD, lambda _: b""),
        by_hand({"alg": ""}, GOOD, hmac_with(SECRET.encode())),
        by_hand({}, GOOD, hmac_with(SECRET.encode())),
        by_hand({"alg": ["HS256"]}, GOOD, hmac_with(SECRET.encode())),
        by_hand({"alg": "HS256"}, GOOD, hmac_with(b"")),
        by_hand({"alg": "HS256", "kid": 7}, GOOD, hmac_with(SECRET.encode())),
        by_hand({"alg": "HS256", "crit": ["mine"], "mine": 1}, GOOD, hmac_with(SECRET.encode())),
        by_hand({"alg": "HS256", "b64": False, "crit": ["b64"]}, GOOD, hmac_with(SECRET.encode())),
        by_hand(["HS256"], GOOD, hmac_with(SECRET.encode())),
        by_hand({"alg": "HS256"}, ["ann"], hmac_with(SECRET.encode())),
        by_hand({"alg": "HS256"}, b"{", hmac_with(SECRET.encode())),
        by_hand({"alg": "HS256"}, b"\xff", hmac_with(SECRET.encode())),
        by_hand({"alg": "HS256"}, b"[" * 3000, hmac_with(SECRET.encode())),
        by_hand(b"[" * 3000, GOOD, hmac_with(SECRET.encode())),
    ],
)
def test_a_forged_or_broken_token_is_refused(text: str) -> None:
    why(HS, text)


def test_none_and_another_family_of_algorithms_are_refused(tmp_path: Path) -> None:
    """Algorithm confusion (RFC 8725, section 2.1): the public key is known to everybody, so it must sign nothing."""
    path = write_jwks(tmp_path, jwk(RSA_KEY.public_key(), kid="a"))
    settings = Tokens("RS256", jwks=path)
    pem = public_pem(RSA_KEY.public_key())
    published = json.dumps(jwk(RSA_KEY.public_key(), kid="a")).encode()
    for secret in (pem, pem.strip(), published, path.read_bytes(), b""):
        for alg in ("HS256", "RS256", "none"):
            why(settings, by_hand({"alg": alg, "kid": "a"}, GOOD, hmac_with(secret)))
    why(settings, by_hand({"alg": "none", "kid": "a"}, GOOD, lambda _: b""))
    why(HS, jwt.encode(GOOD, RSA_KEY, algorithm="RS256"))
    why(settings, jwt.encode(GOOD, RSA_KEY, algorithm="RS512", headers={"kid": "a"}))
    why(settings, jwt.encode(GOOD, RSA_KEY, algorithm="PS256", headers={"kid": "a"}))
    assert verify(settings, jwt.encode(GOOD, RSA_KEY, algorithm="RS256", headers={"kid": "a"})).user == "ann"


def test_keys_that_a_token_brings_along_are_not_looked_at(tmp_path: Path) -> None:
    settings = Tokens("RS256", jwks=write_jwks(tmp_path, jwk(RSA_KEY.public_key(), kid="a")))
    own = {
        "kid": "a",
        "jwk": jwk(OTHER_RSA_KEY.public_key()),
        "jku": "http://127.0.0.1:1/",
        "x5u": "file:///etc/passwd",
    }
    assert why(settings, jwt.encode(GOOD, OTHER_RSA_KEY, algorithm="RS256", headers=own)) == (
        "Signature verification failed"
    )


def test_es256_is_verified_by_its_curve_alone(tmp_path: Path) -> None:
    wider = ec.generate_private_key(ec.SECP384R1())
    path = write_jwks(tmp_path, jwk(EC_KEY.public_key(), kid="a"), jwk(wider.public_key(), kid="b"))
    settings = Tokens("ES256", jwks=path)
    assert verify(settings, jwt.encode(GOOD, EC_KEY, algorithm="ES256", headers={"kid": "a"})).user == "ann"
    assert why(settings, by_hand({"alg": "ES256", "kid": "b"}, GOOD, lambda _: bytes(64))) == "its kid names no key"
    # Nought for both halves of a signature passed in libraries that forgot to look (CVE-2022-21449).
    why(settings, by_hand({"alg": "ES256", "kid": "a"}, GOOD, lambda _: bytes(64)))


def test_the_kid_chooses_and_without_one_there_has_to_be_a_single_key(tmp_path: Path) -> None:
    one = Tokens("RS256", jwks=write_jwks(tmp_path, jwk(RSA_KEY.public_key(), kid="a")))
    unnamed = jwt.encode(GOOD, RSA_KEY, algorithm="RS256")
    assert verify(one, unnamed).user == "ann"
    assert why(one, jwt.encode(GOOD, RSA_KEY, algorithm="RS256", headers={"kid": "b"})) == "its kid names no key"
    two = [jwk(RSA_KEY.public_key(), kid="a"), jwk(OTHER_RSA_KEY.public_key(), kid="b")]
    several = Tokens("RS256", jwks=write_jwks(tmp_path, *two))
    assert why(several, unnamed) == "it has no kid, and keys are several"
    assert verify(several, jwt.encode(GOOD, OTHER_RSA_KEY, algorithm="RS256", headers={"kid": "b"})).user == "ann"


def test_a_changed_file_of_keys_holds_at_once_and_a_broken_one_not_at_all(tmp_path: Path) -> None:
    path = write_jwks(tmp_path, jwk(RSA_KEY.public_key(), kid="a"))
    verifier = TokenVerifier(Tokens("RS256", jwks=path), clock)
    former = jwt.encode(GOOD, RSA_KEY, algorithm="RS256", headers={"kid": "a"})
    later = jwt.encode(GOOD, OTHER_RSA_KEY, algorithm="RS256", headers={"kid": "b"})
    with pytest.raises(TokenRefused):
        verifier.verify(later)
    write_jwks(tmp_path, jwk(OTHER_RSA_KEY.public_key(), kid="b"))
    assert verifier.verify(later).user == "ann"
    with pytest.raises(TokenRefused):
        verifier.verify(former)
    path.write_text("{")
    assert verifier.verify(later).user == "ann"
    path.unlink()
    assert verifier.verify(later).user == "ann"


NOT_PUBLIC = "keys[0]: expected public keys alone, got a secret one"
EC_JWK = jwk(EC_KEY.public_key(), kid="e")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "expected JSON, got something else"),
        ("[" * 100_000, "expected JSON, got something else"),
        ("[]", 'expected {"keys": […]} with at most 100 keys'),
        ('{"keys": {}}', 'expected {"keys": […]} with at most 100 keys'),
        (json.dumps({"keys": [EC_JWK] * 101}), 'expected {"keys": […]} with at most 100 keys'),
        ('{"keys": []}', "expected a key for ES256, got none"),
        ('{"keys": [7]}', "keys[0]: expected an object"),
        (json.dumps({"keys": [{**EC_JWK, "use": "enc"}]}), "expected a key for ES256, got none"),
        (json.dumps({"keys": [{**EC_JWK, "alg": "ES384"}]}), "expected a key for ES256, got none"),
        (json.dumps({"keys": [{**EC_JWK, "kid": 7}]}), "keys[0]: expected kid to be text"),
        (json.dumps({"keys": [EC_JWK, EC_JWK]}), "expected each key for signatures to have a kid of its own"),
        (json.dumps({"keys": [{**EC_JWK, "x": "AAAA"}]}), "keys[0]: expected a key for ES256, got an unreadable one"),
        (json.dumps({"keys": [{"kty": "oct", "k": b64(b"k" * 32)}]}), NOT_PUBLIC),
        (json.dumps({"keys": [jwk(EC_KEY, kid="e")]}), NOT_PUBLIC),
    ],
)
def test_a_file_of_keys_that_cannot_be_meant_is_refused(content: str, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        read_jwks(content.encode(), "ES256")
    assert refused.value.message == reason
    assert b64(b"k" * 32) not in str(refused.value)


def test_short_keys_are_refused(tmp_path: Path) -> None:
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    with pytest.raises(Refused, match=r"jwks.json: keys\[0\]: expected at least 2048 bits, got 1024"):
        TokenVerifier(Tokens("RS256", jwks=write_jwks(tmp_path, jwk(short.public_key()))), clock)
    with pytest.raises(Refused, match=r"expected auth.tokens.secret to have at least 32 bytes"):
        TokenVerifier(Tokens(secret="s" * 31), clock)


def test_a_file_of_keys_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"none\.json: cannot be read: no such file or directory"):
        TokenVerifier(Tokens("RS256", jwks=tmp_path / "none.json"), clock)
    with pytest.raises(Refused, match=r"expected auth.tokens.jwks with ES256"):
        TokenVerifier(Tokens("ES256"), clock)


def test_a_token_is_measured_before_it_is_read() -> None:
    filled = token({"note": "n" * (TOKEN_BYTES_MAX * 3 // 4 - 200)})
    assert len(filled) <= TOKEN_BYTES_MAX
    assert verify(HS, filled).user == "ann"
    assert why(HS, token({"note": "n" * TOKEN_BYTES_MAX})) == f"expected ASCII of at most {TOKEN_BYTES_MAX} bytes"


@given(st.text(max_size=200) | st.binary(max_size=100).map(lambda part: f"{b64(part)}.{b64(part)}.{b64(part)}"))
def test_whatever_is_brought_it_is_a_token_or_refused(text: str) -> None:
    with pytest.raises(TokenRefused):
        verify(HS, text)


@given(place=st.integers(0, 10_000), other=st.sampled_from("ABCZabcz0189-_."))
def test_a_token_of_which_a_character_is_another_is_refused(place: int, other: str) -> None:
    good = token()
    place %= len(good)
    if good[place] != other:
        why(HS, good[:place] + other + good[place + 1 :])


def test_a_secret_shows_nowhere() -> None:
    secret = os.urandom(16).hex()
    settings = replace(HS, secret=secret)
    assert secret not in repr(settings)
    assert secret not in why(settings, token())
