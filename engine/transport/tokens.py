"""The tokens of clients: signed claims (JWT, RFC 7519) to a user, as RFC 8725 would have them checked. Nothing is sent.

The algorithm is the settings', never the token's, and a key serves one algorithm alone: so neither ``none`` nor a
public key taken for a secret gets anywhere. Addresses of keys in a token (``jku``, ``x5u``) are not followed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from engine.core.model import Json
from engine.core.refusal import Refused
from engine.core.units import SECOND
from engine.settings import SECRET_BYTES_MIN, TokenAlgorithm, Tokens
from engine.transport.decoding import NAME_LENGTH_MAX, WireError, check_bounds
from engine.transport.watched import WatchedFile

TOKEN_BYTES_MAX = 8 * 1024  # before anything of it is decoded; servers take no longer lines of headers either
JWKS_BYTES_MAX = 1024 * 1024
JWKS_KEYS_MAX = 100
SECONDS_MAX = 10**12  # of a moment, some 30,000 years
RSA_BITS_MIN = 2048  # RFC 7518, section 3.3
KEY_TYPE_OF: Mapping[TokenAlgorithm, str] = {"RS256": "RSA", "ES256": "EC"}


class TokenRefused(Exception):
    """``why`` is for the log. ``has_expired``: it was a good one."""

    def __init__(self, why: str, *, has_expired: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.has_expired = has_expired


@dataclass(frozen=True, slots=True)
class Claims:
    user: str
    expires_at: int
    traits: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class PublicKeys:
    """The keys of an issuer that can verify, each with its ``kid`` (None where it has none)."""

    keys: tuple[tuple[str | None, jwt.PyJWK], ...]

    def find(self, kid: object) -> jwt.PyJWK:
        """The key that a token names; without a name the only one. Raises `TokenRefused`."""
        found = [key for name, key in self.keys if kid is None or name == kid]
        if len(found) != 1:
            raise TokenRefused("its kid names no key" if kid is not None else "it has no kid, and keys are several")
        return found[0]


class TokenVerifier:
    """Raises `Refused` where the keys cannot be had."""

    def __init__(self, tokens: Tokens, clock: Callable[[], int]) -> None:
        self._tokens = tokens
        self._clock = clock
        self._secret = b""
        self._public: WatchedFile[PublicKeys] | None = None
        if tokens.algorithm == "HS256":
            self._secret = (tokens.secret or "").encode()
            if len(self._secret) < SECRET_BYTES_MIN:
                raise Refused(f"expected auth.tokens.secret to have at least {SECRET_BYTES_MIN} bytes, got fewer")
        elif tokens.jwks is None:
            raise Refused(f"expected auth.tokens.jwks with {tokens.algorithm}")
        else:
            algorithm = tokens.algorithm
            self._public = WatchedFile(tokens.jwks, lambda text: read_jwks(text, algorithm), JWKS_BYTES_MAX)

    def verify(self, token: str) -> Claims:
        """Raises `TokenRefused`."""
        if not token.isascii() or len(token) > TOKEN_BYTES_MAX:
            raise TokenRefused(f"expected ASCII of at most {TOKEN_BYTES_MAX} bytes")
        settings = self._tokens
        try:
            key = self._key_of(token)
            claims = jwt.decode(
                token,
                key,
                algorithms=[settings.algorithm],
                audience=settings.audience,
                issuer=settings.issuer,
                # The moments are checked below, against the engine's own clock.
                options={
                    "require": ["exp", settings.user_claim],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    "verify_sub": False,
                },
            )
        except jwt.InvalidTokenError as error:
            raise TokenRefused(str(error)) from None
        except RecursionError:
            raise TokenRefused("it is nested too deeply") from None
        user = claims.get(settings.user_claim)
        if not isinstance(user, str) or not 0 < len(user) <= NAME_LENGTH_MAX or not user.isprintable():
            raise TokenRefused(f"{settings.user_claim} is no text of 1 to {NAME_LENGTH_MAX} printable characters")
        return Claims(user, self._expiry(claims), _traits(claims))

    def _key_of(self, token: str) -> bytes | jwt.PyJWK:
        if self._public is None:
            return self._secret
        return self._public.current().find(jwt.get_unverified_header(token).get("kid"))

    def _expiry(self, claims: Mapping[str, Any]) -> int:
        """The moment from which it is too old, the leeway counted."""
        now = self._clock()
        expires_at = _moment(claims["exp"], "exp") + self._tokens.leeway
        if "nbf" in claims and now < _moment(claims["nbf"], "nbf") - self._tokens.leeway:
            raise TokenRefused("it holds only later (nbf)")
        if now >= expires_at:
            raise TokenRefused("it has expired (exp)", has_expired=True)
        return expires_at


def _moment(value: Any, claim: str) -> int:
    """A NumericDate (RFC 7519, section 2) as microseconds."""
    # Said so that what is no number at all (NaN) fails too.
    if type(value) not in (int, float) or not abs(value) <= SECONDS_MAX:
        raise TokenRefused(f"{claim} is no number of seconds")
    return int(value * SECOND)


def _traits(claims: Mapping[str, Any]) -> dict[str, Json]:
    traits = claims.get("traits", {})
    if not isinstance(traits, dict):
        raise TokenRefused("traits is no object")
    try:
        check_bounds(traits)
    except WireError as error:
        raise TokenRefused(f"traits: {error.message}") from None
    return traits


def read_jwks(content: bytes, algorithm: TokenAlgorithm) -> PublicKeys:
    """The keys of a JWK set (RFC 7517) that can verify ``algorithm``. Raises `Refused`, also where there are none.

    Keys of other kinds are left aside; those that must not be in such a file are refused.
    """
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        raise Refused("expected JSON, got something else") from None
    listed = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(listed, list) or len(listed) > JWKS_KEYS_MAX:
        raise Refused(f'expected {{"keys": […]}} with at most {JWKS_KEYS_MAX} keys')
    found = [_public_key(item, number, algorithm) for number, item in enumerate(listed)]
    keys = [(kid, key) for kid, key in found if key is not None]
    if not keys:
        raise Refused(f"expected a key for {algorithm}, got none")
    names = [kid for kid, _ in keys]
    if len(set(names)) < len(names):
        raise Refused("expected each key for signatures to have a kid of its own")
    return PublicKeys(tuple(keys))


def _public_key(item: Any, number: int, algorithm: TokenAlgorithm) -> tuple[str | None, jwt.PyJWK | None]:
    place = f"keys[{number}]"
    if not isinstance(item, dict):
        raise Refused(f"{place}: expected an object")
    if item.get("kty") == "oct" or "d" in item:
        raise Refused(f"{place}: expected public keys alone, got a secret one", hint="the issuer keeps it for itself")
    kid = item.get("kid")
    if kid is not None and not isinstance(kid, str):
        raise Refused(f"{place}: expected kid to be text")
    is_meant = (
        item.get("kty") == KEY_TYPE_OF[algorithm]
        and item.get("alg", algorithm) == algorithm
        and item.get("use", "sig") == "sig"
        and (algorithm != "ES256" or item.get("crv") == "P-256")
    )
    if not is_meant:
        return kid, None
    try:
        key = jwt.PyJWK(item, algorithm)
    except jwt.PyJWTError:
        raise Refused(f"{place}: expected a key for {algorithm}, got an unreadable one") from None
    if algorithm == "RS256" and key.key.key_size < RSA_BITS_MIN:
        raise Refused(f"{place}: expected at least {RSA_BITS_MIN} bits, got {key.key.key_size}")
    return kid, key
