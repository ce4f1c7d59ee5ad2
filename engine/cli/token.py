"""``proactive token``: a client's token for trying things out, signed with the server's own secret. It calls nobody."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated, Any

import jwt
import typer

from engine.cli.stopping import refused_as, stop, stop_refused
from engine.core.units import SECOND, parse_duration
from engine.settings import problems
from engine.settings_file import SettingsErrors, read_settings
from engine.transport.decoding import NAME_LENGTH_MAX


def token(
    user: Annotated[str | None, typer.Option(metavar="NAME", help="Needed: whose token it is.")] = None,
    lasting: Annotated[str, typer.Option("--for", metavar="DURATION", help="How long it holds.")] = "1h",
    config: Annotated[Path | None, typer.Option(help="Settings; without it ./config.yaml, if there is one.")] = None,
) -> None:
    """Make a client's token for trying things out.

    It is signed as the server's settings have it (auth.tokens), with the secret of the environment: whoever runs
    this could speak for anybody anyway. An application's own login makes the tokens of real people, with the same
    claims. Where tokens are signed by an issuer's private key (RS256, ES256), only the issuer can make one.
    """
    if user is None or not 0 < len(user) <= NAME_LENGTH_MAX or not user.isprintable():
        stop(f"expected --user with 1 to {NAME_LENGTH_MAX} printable characters")
    with refused_as("--for"):
        span = parse_duration(lasting)
    try:
        settings = read_settings(config, os.environ, to_serve=False)
    except SettingsErrors as errors:
        stop_refused(errors)
    tokens = settings.auth.tokens
    if tokens is None:
        stop("the settings have no auth.tokens: clients need no token there", 1)
    if tokens.algorithm != "HS256":
        stop(f"tokens are signed with {tokens.algorithm} there: only the issuer, who has the private key, can", 1)
    for names, why in problems(settings):
        if names[:2] == ("auth", "tokens"):
            stop(why, 1)
    claims: dict[str, Any] = {tokens.user_claim: user, "exp": int(time.time()) + -(-span // SECOND)}
    if tokens.audience is not None:
        claims["aud"] = tokens.audience
    if tokens.issuer is not None:
        claims["iss"] = tokens.issuer
    typer.echo(jwt.encode(claims, tokens.secret or "", algorithm=tokens.algorithm))
