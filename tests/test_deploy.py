"""What stands in deploy/ names commands and settings that there are, and is of the form that its readers want."""

from __future__ import annotations

import configparser
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.cli.main import COMMANDS
from engine.settings import problems
from engine.settings_file import read_settings

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "deploy"
UNITS = sorted(FOLDER.glob("*.service"))
SECRET = "s" * 32


def compose() -> Any:
    return yaml.safe_load((FOLDER / "compose.yaml").read_text("utf-8"))


def started(text: str) -> list[str]:
    """The commands of proactive that a text runs."""
    return re.findall(r"proactive (\w+) --config", text)


def variables(text: str) -> list[str]:
    return re.findall(r"\bPROACTIVE_[A-Z_]+", text)


def test_the_settings_can_be_served(tmp_path: Path) -> None:
    found = read_settings(FOLDER / "config.yaml", {"PROACTIVE_AUTH_TOKENS_SECRET": SECRET})
    assert list(problems(found)) == []
    assert found.store == "redis://redis:6379/0"


def test_the_services_run_commands_that_there_are() -> None:
    services = compose()["services"]
    assert [name for name in ("gateway", "worker") if services[name]["deploy"]["replicas"] > 1] == ["gateway", "worker"]
    assert {name: started(services[name].get("command", "")) for name in ("gateway", "worker")} == {
        "gateway": ["gateway"],
        "worker": ["worker"],
    }
    assert {"gateway", "worker"} <= set(COMMANDS)


def test_what_a_service_waits_for_and_mounts_is_there() -> None:
    found = compose()
    for service in found["services"].values():
        assert set(service.get("depends_on", ())) <= set(found["services"])
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert source in found["volumes"] or (FOLDER / source).exists()


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_starts_what_its_name_says(path: Path) -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(path.read_text("utf-8"))
    assert set(unit.sections()) == {"Unit", "Service", "Install"}
    [command] = started(unit["Service"]["ExecStart"])
    assert path.name == f"proactive-{command}@.service"
    assert command in COMMANDS
    assert int(unit["Service"]["TimeoutStopSec"]) > 10, "more than a server takes to stop"


@pytest.mark.parametrize("path", [*UNITS, FOLDER / "compose.yaml", FOLDER / "config.yaml"], ids=lambda path: path.name)
def test_variables_of_the_environment_are_settings(path: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(SECRET, encoding="utf-8")
    values = {"PROACTIVE_AUTH_TOKENS_SECRET_FILE": str(secret), "PROACTIVE_WS_PORT": "1", "PROACTIVE_HTTP_PORT": "2"}
    given = {name: values[name] for name in variables(path.read_text("utf-8"))}
    assert given
    read_settings(FOLDER / "config.yaml", given, to_serve=False)


def test_the_load_balancer_lets_websockets_and_streams_through() -> None:
    text = (FOLDER / "nginx.conf").read_text("utf-8")
    assert text.count("{") == text.count("}")
    for line in (
        "proxy_set_header Upgrade $http_upgrade;", "proxy_set_header Connection upgrade;", "proxy_buffering off;",
    ):  # fmt: skip
        assert line in text
    ports = re.findall(r"server gateway:(\d+);", text)
    found = read_settings(FOLDER / "config.yaml", {"PROACTIVE_AUTH_TOKENS_SECRET": SECRET})
    assert sorted(ports) == sorted([str(found.ws_port), str(found.http_port)])
    waits = [int(seconds) for seconds in re.findall(r"proxy_read_timeout (\d+)s;", text)]
    assert min(waits) * 1_000_000 > found.heartbeat


def test_the_page_names_every_file() -> None:
    page = (FOLDER / "README.md").read_text("utf-8")
    assert [path.name for path in sorted(FOLDER.iterdir()) if f"({path.name})" not in page] == ["README.md"]


def test_the_page_on_scaling_runs_commands_that_there_are() -> None:
    page = (ROOT / "docs" / "scaling.md").read_text("utf-8")
    assert started(re.sub(" +", " ", page)) == ["worker", "gateway"]
