"""Why a command could not reach its server, in words, and what to do about it.

It makes no connection, and decides nothing: whether to try again is the command's to say.
"""

from __future__ import annotations

import ssl

import aiohttp

# OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH (openssl/x509_vfy.h).
OTHER_NAME = (62, 64)


def tls_trouble(url: str, option: str, error: BaseException) -> str:
    """Why encryption came to nothing, or "" where it was something else. Trying again would not help.

    ``option`` is the one that names another address.
    """
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        error = error.certificate_error
    elif isinstance(error, aiohttp.ClientConnectorError):
        error = error.os_error
    if isinstance(error, ssl.SSLCertVerificationError):
        why = error.verify_message.rstrip(".")
        if error.verify_code in OTHER_NAME:
            return f"the certificate of {url} is for another name: {why}; {option} takes the address with its name"
        trust = "SSL_CERT_FILE=server.pem trusts the one in that file"
        return f"the certificate of {url} is not trusted: {why}; {trust}"
    if isinstance(error, ssl.SSLError):
        return f"{url} does not speak TLS; without it the address begins with {_other_scheme(url)}"
    return ""


def no_server(url: str, why: object) -> str:
    """Somebody listens and does not answer as a server does: often for want of TLS, or for too much of it."""
    kind = "without" if url.startswith(("wss://", "https://")) else "with"
    hint = f"of a server {kind} TLS the address begins with {_other_scheme(url)}"
    return f"no proactive server answers at {url}: {why}; {hint}"


def _other_scheme(url: str) -> str:
    """That of the same protocol with TLS, or without."""
    scheme = url.partition("://")[0]
    return f"{scheme.removesuffix('s') if scheme in ('wss', 'https') else scheme + 's'}://"
