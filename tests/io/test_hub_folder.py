"""Folders of models: which files count, on disk and in a cache of the hub that is made by hand."""

from __future__ import annotations

import json

import pytest

from rsseg.errors import ConfigError, DataError
from rsseg.io.hub_folder import model_folder, weight_files

COMMIT = "0123456789abcdef" * 2 + "01234567"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """``cache("model.safetensors", ...)`` puts such files into an empty cache of the hub; it is offline."""
    pytest.importorskip("huggingface_hub")
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    repo = tmp_path / "hub" / "models--me--net"

    def put(**files):
        folder = repo / "snapshots" / COMMIT
        folder.mkdir(parents=True)
        for name, text in files.items():
            (folder / name.replace("__", ".")).write_text(text)
        (repo / "refs").mkdir()
        (repo / "refs" / "main").write_text(COMMIT)
        return folder

    return put


def test_a_local_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder; name the folder of a model"):
        model_folder(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match=r"has no config\.json"):
        model_folder(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match=r"has no model\.safetensors"):
        model_folder(tmp_path)
    (tmp_path / "pytorch_model.bin").write_text("")
    with pytest.raises(DataError, match="its weights are pickles, which may run code and are not read"):
        model_folder(tmp_path)
    (tmp_path / "model.safetensors").write_text("")
    assert model_folder(str(tmp_path)) == tmp_path
    assert weight_files(tmp_path) == [tmp_path / "model.safetensors"]


def test_weights_in_parts(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    index = {"weight_map": {"a": "model-2.safetensors", "b": "model-1.safetensors", "c": "model-1.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    (tmp_path / "model-1.safetensors").write_text("")
    with pytest.raises(FileNotFoundError, match=r"model-2\.safetensors: is missing, but"):
        model_folder(tmp_path)
    (tmp_path / "model-2.safetensors").write_text("")
    assert [path.name for path in weight_files(model_folder(tmp_path))] == [
        "model-1.safetensors",
        "model-2.safetensors",
    ]
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../x.safetensors"}}))
    with pytest.raises(DataError, match=r"'\.\./x\.safetensors' is no name of a safetensors file beside it"):
        model_folder(tmp_path)


def test_a_repository_in_the_cache(cache):
    folder = cache(config__json="{}", model__safetensors="", processor_config__json="{}")
    for address in ("hf://me/net", f"hf://me/net@{COMMIT}"):
        assert model_folder(address) == folder
    with pytest.raises(ConfigError, match="expected the address of a whole model"):
        model_folder("hf://me/net/model.safetensors")


def test_weights_in_parts_in_the_cache(cache):
    index = json.dumps({"weight_map": {"a": "model-1.safetensors"}})
    folder = cache(config__json="{}", **{"model__safetensors__index__json": index})
    with pytest.raises(FileNotFoundError, match=r"model-1\.safetensors: is not in the cache"):
        model_folder("hf://me/net")
    (folder / "model-1.safetensors").write_text("")
    assert model_folder("hf://me/net") == folder


def test_a_repository_without_weights(cache):
    cache(config__json="{}")
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors: is not in the cache"):
        model_folder("hf://me/net")


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (
            "GatedRepoError",
            403,
            r"fill in the form and accept the licence at https://\S+/facebook/sam3, then log in: hf auth",
        ),
        (
            "HfHubHTTPError",
            401,
            r"access is refused; log in .* hf auth login\. Where https://\S+/facebook/sam3 shows a form",
        ),
        ("HfHubHTTPError", 500, r"the hub cannot be used \(no\)"),
    ],
)
def test_refused_access_names_login_and_form(monkeypatch, error, status, message):
    huggingface_hub = pytest.importorskip("huggingface_hub")
    from huggingface_hub import errors

    class Response:
        status_code, headers, request = status, {}, None

    def refuse(*args, **kwargs):
        raise getattr(errors, error)("no", response=Response())

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", refuse)
    with pytest.raises(OSError, match=message):
        model_folder("hf://facebook/sam3")
