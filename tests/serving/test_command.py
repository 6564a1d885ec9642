"""The command: what it refuses, how it starts, where it says it is, and how it ends."""

from __future__ import annotations

import argparse
import logging
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from rsseg.errors import ConfigError
from rsseg.serving.command import TOKEN_VARIABLE, listen, settings_of

REPO = Path(__file__).resolve().parents[2]


def arguments(monkeypatch: pytest.MonkeyPatch, *words: str) -> argparse.Namespace:
    from rsseg.cli.serve import parse_args

    monkeypatch.setattr(sys, "argv", ["rsseg serve", *words])
    return parse_args()


def test_settings_of_the_command_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    model = tmp_path / "c.pth"
    model.touch()
    config = "configs/landdiscover/gsnet_vitb16.py"
    found = settings_of(
        arguments(monkeypatch, str(tmp_path), "--config", config, "--checkpoint", str(model), "--range", "0,3000")
    )
    assert (found.paths, found.host, found.port, found.token) == ((tmp_path,), "127.0.0.1", 8000, None)
    assert found.text is not None
    assert (found.text["config"], found.text["checkpoint"]) == (config, str(model))
    assert found.text["range"] == (0, 3000)
    found = settings_of(arguments(monkeypatch, str(tmp_path), "--host", "0.0.0.0", "--token", "auto"))
    assert found.token is not None
    assert len(found.token) == 32
    assert found.text is None
    monkeypatch.setenv(TOKEN_VARIABLE, "t" * 16)
    assert settings_of(arguments(monkeypatch, str(tmp_path))).token == "t" * 16


def test_what_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    with pytest.raises(FileNotFoundError, match=r"gone\.tif: does not exist"):
        settings_of(arguments(monkeypatch, str(tmp_path / "gone.tif")))
    with pytest.raises(ConfigError, match=r"c\.pth: name its config with --config"):
        settings_of(arguments(monkeypatch, str(tmp_path), "--checkpoint", "c.pth"))
    with pytest.raises(FileNotFoundError, match=r"c\.py: no such config file"):
        settings_of(arguments(monkeypatch, str(tmp_path), "--config", "c.py"))
    with pytest.raises(FileNotFoundError, match=r"--checkpoint c\.pth: there is no such file"):
        config = "configs/landdiscover/gsnet_vitb16.py"
        settings_of(arguments(monkeypatch, str(tmp_path), "--config", config, "--checkpoint", "c.pth"))
    text = settings_of(arguments(monkeypatch, str(tmp_path), "--checkpoint", "hf://own/model")).text
    assert text is not None
    assert text["config"].startswith("hf://own/model")
    with pytest.raises(ConfigError, match="token is required"):
        settings_of(arguments(monkeypatch, str(tmp_path), "--host", "0.0.0.0"))
    for name in ("Jürgen", "a b", "", ".a", "a\n", "x" * 65):
        with pytest.raises(ConfigError, match="a name must consist of the letters a to z"):
            settings_of(arguments(monkeypatch, str(tmp_path), "--reviewer", name))


def test_a_port_that_is_taken() -> None:
    with listen("127.0.0.1", 0) as taken:
        assert taken.proto == socket.IPPROTO_TCP, "by which asyncio knows to send answers at once"
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match="choose another port"):
            listen("127.0.0.1", port)
    with pytest.raises(ConfigError, match="cannot listen there"):
        listen("203.0.113.7", 0)
    with pytest.raises(ConfigError, match="ports end at 65535"):
        listen("127.0.0.1", 70000)


@pytest.mark.slow
def test_it_says_where_it_is_and_ends_by_a_signal(tmp_path: Path) -> None:
    pytest.importorskip("fastapi")
    pytest.importorskip("rio_tiler")
    command = [sys.executable, "-m", "rsseg", "serve", str(tmp_path), "--port", "0", "--out", str(tmp_path / "out")]
    with subprocess.Popen(command, cwd=REPO, stderr=subprocess.PIPE, text=True) as process:
        try:
            address = _address(process)
            with urllib.request.urlopen(f"{address}openapi.json", timeout=600) as answer:
                assert b"rsseg" in answer.read()
            process.send_signal(signal.SIGINT)
            rest = process.communicate(timeout=600)[1]
        finally:
            process.kill()
    assert process.returncode in (0, 130)
    assert "Traceback" not in rest
    with (
        pytest.raises(OSError),
        socket.create_connection(("127.0.0.1", int(address.rsplit(":", 1)[1].strip("/"))), 600),
    ):
        pass


def _address(process: Any) -> str:
    lines = []
    for line in process.stderr:
        lines.append(line)
        if "open http" in line:
            return str(line.split("open ", 1)[1].strip())
    raise AssertionError("".join(lines))


def test_log_files_of_others_stay_open(tmp_path: Path) -> None:
    pytest.importorskip("fastapi")
    from rsseg.serving.connections import server_config

    handler = logging.FileHandler(tmp_path / "log.txt")
    server_config(None)
    assert handler.stream is not None
    handler.close()
