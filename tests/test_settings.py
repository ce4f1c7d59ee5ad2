from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from pages import blocks_of

from engine.core.units import DAY, SECOND
from engine.settings import Auth, Limits, Log, OpenAI, Settings, Telemetry, Tls, Tokens
from engine.settings_file import SettingsErrors, read_settings
from engine.settings_shape import SECRETS as SECRET_VARIABLES
from engine.settings_shape import leaves

KINDS = (Settings, Limits, Tokens, Auth, Tls, OpenAI, Telemetry, Log)
SECRET = {"PROACTIVE_AUTH_TOKENS_SECRET": "s" * 32}
ROOT = Path(__file__).parent.parent


def write(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_shipped_file_says_every_key_and_all_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert read_settings("config.yaml", {}) == Settings()
    written = yaml.safe_load(with_comments_as_keys(Path("config.yaml").read_text(encoding="utf-8")))
    assert [".".join(names) for names in leaves() if not stands(names, written)] == []
    assert {field.name for kind in KINDS for field in fields(kind)} == {name for names in leaves() for name in names}


def test_the_page_for_operators_says_every_key_and_all_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = ROOT / "docs" / "operating.md"
    text = page.read_text(encoding="utf-8")
    blocks = [block.text for block in blocks_of(page) if block.word == "config"]
    told = [block for block in blocks if f"hese are the defaults:\n\n```yaml config\n{block}" in text]
    assert len(told) == 2, "the settings, and the limits"
    write(tmp_path, "".join(told))
    monkeypatch.chdir(tmp_path)
    assert read_settings("config.yaml", {}) == Settings()

    defaults = yaml.safe_load("".join(told))
    shipped = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    untold = [names for names in leaves() if not stands(names, defaults)]
    assert [names for names in untold if stands(names, shipped)] == []
    # What is nothing by itself stands in an example of its own, in a comment or in the text; secrets as variables.
    examples = [yaml.safe_load(block) for block in blocks if block not in told]
    untold = [names for names in untold if not any(stands(names, example) for example in examples)]
    assert [names for names in untold if SECRET_VARIABLES.get(names, f"{names[-1]}: ") not in text] == []


def stands(names: tuple[str, ...], written: Any) -> bool:
    for name in names:
        if not isinstance(written, dict) or name not in written:
            return False
        written = written[name]
    return True


def with_comments_as_keys(text: str) -> str:
    """The keys that are nothing by themselves stand in comments: as if they were keys of the file."""
    known = "|".join({name for names in leaves() for name in names})
    return re.sub(rf"^( *)# ( *)(?:# )?((?:{known}):(?: .*)?)$", r"\1\2\3", text, flags=re.MULTILINE)


def test_without_a_file_the_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_settings(None, {"HOME": "/home/ann"}) == Settings()


def test_an_empty_file_leaves_the_defaults(tmp_path: Path) -> None:
    assert read_settings(write(tmp_path, "# nothing\n"), {}) == Settings()


def test_paths_of_a_file_are_seen_from_its_folder(tmp_path: Path) -> None:
    settings = read_settings(write(tmp_path, "rules: mine\nstore: sqlite:data/p.db\n"), {})
    assert settings.rules == tmp_path / "mine"
    assert settings.store == f"sqlite:{tmp_path / 'data/p.db'}"
    assert read_settings(write(tmp_path, "store: 'sqlite:/var/p.db'\n"), {}).store == "sqlite:/var/p.db"
    assert read_settings(write(tmp_path, "store: 'memory:'\n"), {}).store == "memory:"


@pytest.mark.parametrize(
    ("text", "durability", "on_loss"),
    [
        ("", None, "stop"),
        ("durability: normal\n", "normal", "stop"),
        ("store: redis://a\ndurability: local\n", "local", "stop"),
        ("store: rediss://a\ndurability: strict\non_replica_loss: degrade\n", "strict", "degrade"),
        ("store: redis+cluster://a:1,b:2\non_replica_loss: degrade\n", None, "degrade"),
        ("store: rediss+cluster://me@a,b\ndurability: local\n", "local", "stop"),
    ],
)
def test_each_kind_of_store_has_durabilities_of_its_own(
    tmp_path: Path, text: str, durability: str | None, on_loss: str
) -> None:
    settings = read_settings(write(tmp_path, text), {})
    assert (settings.durability, settings.on_replica_loss) == (durability, on_loss)
    assert "store" not in text or settings.store == text.split()[1]


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "ws_port: 1\nhttp_port: 2\nlog: {level: error, format: json}\nrules: mine\n")
    environment = {
        "PROACTIVE_WS_PORT": "0",
        "PROACTIVE_LOG_LEVEL": "debug",
        "PROACTIVE_LIMITS_QUEUE_FRAMES": "8",
        "PROACTIVE_ANSWER_TIMEOUT": "90s",
        "PROACTIVE_RULES": "other",
    }
    settings = read_settings(path, environment)
    assert (settings.ws_port, settings.http_port) == (0, 2)
    assert settings.log == Log("json", "debug")
    assert settings.limits == Limits(queue_frames=8)
    assert settings.answer_timeout == 90 * SECOND
    assert settings.rules == Path("other"), "seen from where the process runs"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("wsport: 1\n", '1:1: unknown key "wsport", did you mean "ws_port"? [unknown-key]'),
        ("log:\n  levle: info\n", '2:3: unknown key "levle", did you mean "level"? [unknown-key]'),
        ("ws_port: 65536\n", "1:10: expected a whole number from 0 to 65535, got 65536 [bad-value]"),
        ("http_port: many\n", '1:12: expected a whole number from 0 to 65535, got "many" [wrong-type]'),
        (
            "responder: openai\n",
            '1:12: expected openai.model with "openai"; name the model that is to answer [together]',
        ),
        (
            "answer_timeout: 30\n",
            '1:17: expected a duration such as "90s", "5m" or "1h30m", got 30, '
            'did you mean "30s" or "30m"? [bad-value]',
        ),
        (
            "store: postgres://localhost\n",
            '1:8: expected a store such as "sqlite:proactive.db" or "redis://127.0.0.1:6379/0", got '
            '"postgres://localhost" [bad-value]',
        ),
        (
            "store: 'sqlite:'\n",
            '1:9: expected a store such as "sqlite:proactive.db" or "redis://127.0.0.1:6379/0", got "sqlite:" '
            "[bad-value]",
        ),
        (
            "store: redis://127.0.0.1\ndurability: normal\n",
            '2:13: expected local, replicated or strict with a store on Redis, got "normal" [together]',
        ),
        (
            "store: redis+cluster://a,b\ndurability: local\non_replica_loss: degrade\n",
            "3:18: expected durability replicated or strict with it; no replica is waited for, so none is missed "
            "[together]",
        ),
        ("durability: strict\n", '1:13: expected full or normal with a store in a file, got "strict" [together]'),
        (
            "store: redis://127.0.0.1\non_replica_loss: degrade\n",
            "2:18: expected durability replicated or strict with it; no replica is waited for, so none is missed "
            "[together]",
        ),
        ("rules: ''\n", '1:9: expected a folder such as "rules", got nothing [bad-value]'),
        (
            "host: 0.0.0.0\n",
            '1:7: expected a loopback address such as "127.0.0.1", got "0.0.0.0"; whoever can reach the server could '
            "speak for anybody: set auth.tokens and auth.backend_keys first [together]",
        ),
        ("ws_port: 1\nws_port: 2\n", '2:1: repeated key "ws_port", first written in line 1 [repeated-key]'),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, text: str, error: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(SettingsErrors) as refused:
        read_settings(path, {})
    assert str(refused.value) == f"{path}:{error}"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "::1", "localhost"])
def test_addresses_of_this_machine_are_allowed(tmp_path: Path, host: str) -> None:
    assert read_settings(write(tmp_path, f'host: "{host}"\n'), {}).host == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.1"])
def test_others_are_only_where_nobody_can_speak_for_anybody(tmp_path: Path, host: str) -> None:
    for auth in ("", "auth: {tokens: {}}", "auth: {backend_keys: keys.json}"):
        with pytest.raises(SettingsErrors, match="expected a loopback address"):
            read_settings(write(tmp_path, f'host: "{host}"\n{auth}\n'), SECRET if "tokens" in auth else {})
    path = write(tmp_path, f'host: "{host}"\nauth: {{tokens: {{}}, backend_keys: keys.json}}\n')
    assert read_settings(path, SECRET).host == host


@pytest.mark.parametrize("host", ["example.com", "", "127.0.0.1:80"])
def test_names_are_no_addresses(tmp_path: Path, host: str) -> None:
    with pytest.raises(SettingsErrors, match="expected an address such as"):
        read_settings(write(tmp_path, f'host: "{host}"\n'), {})


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, "ws_port: -1\nhots: 127.0.0.1\n")
    environment = {"PROACTIVE_LOG_LEVEL": "loud", "PROACTIVE_WSPORT": "1"}
    with pytest.raises(SettingsErrors) as refused:
        read_settings(path, environment)
    assert [str(found) for found in refused.value.diagnostics] == [
        f"{path}:1:10: expected a whole number from 0 to 65535, got -1 [bad-value]",
        f'{path}:2:1: unknown key "hots", did you mean "host"? [unknown-key]',
        'PROACTIVE_LOG_LEVEL: expected "debug", "info", "warning" or "error", got "loud" [bad-value]',
        'PROACTIVE_WSPORT: no setting has this name, did you mean "PROACTIVE_WS_PORT"? [unknown-key]',
    ]


def test_an_empty_number_in_the_environment_is_a_mistake() -> None:
    with pytest.raises(SettingsErrors, match="PROACTIVE_WS_PORT: expected a whole number"):
        read_settings(None, {"PROACTIVE_WS_PORT": ""})


def test_a_file_that_is_named_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsErrors, match="expected a file of settings, cannot read it: no such file"):
        read_settings(tmp_path / "none.yaml", {})


def test_a_file_that_is_not_utf_8_is_a_mistake(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(b"host: \xff")
    with pytest.raises(SettingsErrors, match="expected UTF-8, got something else at byte 6"):
        read_settings(path, {})


SECRETS = {
    "PROACTIVE_AUTH_TOKENS_SECRET": ("auth: {tokens: {secret: %s}}", lambda settings: settings.auth.tokens.secret),
    "PROACTIVE_OPENAI_API_KEY": ("openai: {api_key: %s}", lambda settings: settings.openai.api_key),
    "PROACTIVE_STORE_PASSWORD": ("store_password: %s", lambda settings: settings.store_password),
}
SECRET_TEXT = "do-not-show-this-0123456789-0123456789"


@pytest.mark.parametrize("variable", SECRETS)
def test_a_secret_in_the_file_is_refused_and_not_repeated(tmp_path: Path, variable: str) -> None:
    for written in (SECRET_TEXT, f'"{SECRET_TEXT}"', f"[{SECRET_TEXT}]", "8989898989"):
        with pytest.raises(SettingsErrors) as refused:
            read_settings(write(tmp_path, SECRETS[variable][0] % written), {})
        assert SECRET_TEXT not in str(refused.value)
        assert "8989898989" not in str(refused.value)
    assert f"set {variable}, or {variable}_FILE to the name of a file" in str(refused.value)


@pytest.mark.parametrize("variable", SECRETS)
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_secret_comes_from_the_environment_or_from_a_file_that_it_names(
    tmp_path: Path, variable: str, end: str
) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET_TEXT + end, newline="")
    for environment in ({variable: SECRET_TEXT}, {f"{variable}_FILE": str(file)}):
        assert SECRETS[variable][1](read_settings(write(tmp_path, ""), environment)) == SECRET_TEXT


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "expected a file that holds the secret, cannot read it: no such file or directory"),
        (b"", "expected a secret, got nothing; unset the variable if there is none"),
        (b" \n", "expected a secret, got nothing"),
        (b"\xff" * 32, "expected a file in UTF-8, got something else"),
        (b"one\ntwo", "expected a secret on one line, got line breaks or other control characters"),
        (b"a" * (64 * 1024 + 1), "expected a file of at most 64 KiB, got a larger one"),
    ],
)
def test_a_file_that_holds_no_secret_is_told(tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsErrors) as refused:
        read_settings(write(tmp_path, ""), {"PROACTIVE_OPENAI_API_KEY_FILE": str(file)})
    assert str(refused.value).startswith(f"PROACTIVE_OPENAI_API_KEY_FILE: {said}")


def test_of_a_secret_and_a_file_that_holds_it_only_one_can_be_meant(tmp_path: Path) -> None:
    environment = {"PROACTIVE_OPENAI_API_KEY": "k", "PROACTIVE_OPENAI_API_KEY_FILE": str(write(tmp_path, "k"))}
    with pytest.raises(SettingsErrors, match="expected this or PROACTIVE_OPENAI_API_KEY, got both"):
        read_settings(None, environment)


def test_no_secret_shows_in_what_is_printed(tmp_path: Path) -> None:
    settings = read_settings(write(tmp_path, ""), dict.fromkeys(SECRETS, SECRET_TEXT))
    assert SECRET_TEXT not in repr(settings) + str(settings)
    assert "@" not in str(settings)
    with pytest.raises(SettingsErrors) as refused:
        read_settings(write(tmp_path, "openai: {url: 'htp://me:word-of-mine@host'}"), {})
    assert "word-of-mine" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "environment", "error"),
    [
        ("auth: {tokens: {}}", {}, "FILE:1:16: HS256 needs a secret; set PROACTIVE_AUTH_TOKENS_SECRET"),
        (
            "auth: {tokens: {}}",
            {"PROACTIVE_AUTH_TOKENS_SECRET": "s" * 31},
            "PROACTIVE_AUTH_TOKENS_SECRET: expected a secret of at least 32 bytes, got 31; make one: openssl",
        ),
        ("auth: {tokens: {jwks: a}}", SECRET, 'FILE:1:23: expected no file of keys with "HS256"'),
        ("auth: {tokens: {algorithm: ES256}}", {}, "FILE:1:28: ES256 needs auth.tokens.jwks"),
        ("auth: {tokens: {algorithm: RS256, jwks: a}}", SECRET, "PROACTIVE_AUTH_TOKENS_SECRET: expected no secret"),
        ("auth: {tokens: {algorithm: none}}", {}, 'FILE:1:28: expected "HS256", "RS256" or "ES256", got "none"'),
        ("tls: {key: a}", {}, 'FILE:1:6: missing key "certificate"'),
        ("", {"PROACTIVE_TLS_KEY": "a"}, "PROACTIVE_TLS_KEY: tls needs its certificate as well"),
        ("origins: [https://a.example/]", {}, "FILE:1:11: expected an origin such as"),
        ("origins: ['*']", {}, "FILE:1:12: expected an origin such as"),
        ("limits: {connections: 0}", {}, "FILE:1:23: expected a whole number from 1"),
        ("", {"PROACTIVE_HOST": "0.0.0.0"}, "PROACTIVE_HOST: expected a loopback address"),
        ("openai: {url: ftp://x}", {}, "FILE:1:15: expected an address such as"),
        ("telemetry: {otlp: x}", {}, "FILE:1:19: expected an address such as"),
    ],
)
def test_what_cannot_be_served_is_told_where_it_was_written(
    tmp_path: Path, text: str, environment: dict[str, str], error: str
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(SettingsErrors) as refused:
        read_settings(path, environment)
    assert str(refused.value).startswith(error.replace("FILE", str(path), 1))


def test_who_only_looks_for_the_server_needs_no_secrets_of_it(tmp_path: Path) -> None:
    path = write(tmp_path, "host: 0.0.0.0\nauth: {tokens: {}, backend_keys: keys.json}\n")
    settings = read_settings(path, {}, to_serve=False)
    assert settings.auth.tokens == Tokens()
    with pytest.raises(SettingsErrors):
        read_settings(path, {})


def test_all_paths_of_a_file_are_seen_from_its_folder_and_those_of_the_environment_are_not(tmp_path: Path) -> None:
    text = "tls: {certificate: c, key: k}\nauth: {backend_keys: b, tokens: {algorithm: ES256, jwks: j}}\n"
    settings = read_settings(write(tmp_path, text), {"PROACTIVE_TLS_KEY": "other"})
    assert settings.tls == Tls(tmp_path / "c", Path("other"))
    assert settings.auth == Auth(Tokens("ES256", jwks=tmp_path / "j"), tmp_path / "b")


def test_lists_flags_and_no_limit_can_be_said_in_the_environment(tmp_path: Path) -> None:
    environment = {
        "PROACTIVE_ORIGINS": "https://a.example, http://b.example:8080",
        "PROACTIVE_AUTH_ANONYMOUS_CHAT": "false",
        "PROACTIVE_LIMITS_CONNECTIONS": "none",
        "PROACTIVE_KEEP": "90d",
    }
    settings = read_settings(write(tmp_path, "keep: none\nlimits: {connections: 5}\n"), environment)
    assert settings.origins == ("https://a.example", "http://b.example:8080")
    assert not settings.auth.anonymous_chat
    assert settings.limits.connections is None
    assert settings.keep == 90 * DAY
    assert read_settings(write(tmp_path, "origins: [https://a.example]"), {"PROACTIVE_ORIGINS": ""}).origins == ()
