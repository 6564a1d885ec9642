"""Files on the hub, from a cache made by hand: addresses, checksums, revisions, and what is said without one."""

from __future__ import annotations

import hashlib

import pytest
import torch

from rsseg.errors import ConfigError, DataError
from rsseg.io.hub import HubAddress, config_of, is_hub, local_file

pytest.importorskip("huggingface_hub")
COMMIT, OTHER = "0123456789abcdef" * 2 + "01234567", "f" * 40


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """``cache({"model.safetensors": b"..."}, commit)`` puts files into an empty cache of the hub; it is offline."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    repo = tmp_path / "hub" / "models--me--net"

    def put(files, commit=COMMIT, branch="main"):
        for name, content in files.items():
            path = repo / "snapshots" / commit / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        (repo / "refs").mkdir(parents=True, exist_ok=True)
        (repo / "refs" / branch).write_text(commit)
        return repo / "snapshots" / commit

    return put


def sums(**files):
    return "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items()).encode()


def test_addresses():
    assert HubAddress.parse("hf://me/net") == HubAddress("me/net", "main", "", "")
    whole = f"hf://me/my.net@{COMMIT}/a/b.pth#sha256={'0' * 64}"
    assert HubAddress.parse(whole) == HubAddress("me/my.net", COMMIT, "a/b.pth", "0" * 64)
    assert str(HubAddress.parse(whole)) == whole
    assert HubAddress.parse("hf://me/net@refs/pr/3").revision == "refs/pr/3"
    assert HubAddress.parse("hf:/me/net/x.pth").file == "x.pth"  # it has been a Path
    assert is_hub("hf://me/net") and not is_hub("hf.pth") and not is_hub(None)
    assert config_of("a.py", "b.pth") == "a.py" and config_of(None, "hf://me/net") == "hf://me/net@main/config.py"
    with pytest.raises(ConfigError, match=r"b.pth: name its config with --config"):
        config_of(None, "b.pth")


@pytest.mark.parametrize(
    "text", ["hf://me", "hf://me/net/../x", "hf://me/net//x", "hf://me/net#sha256=12", "hf:///x/y"]
)
def test_what_is_no_address(text):
    with pytest.raises(ConfigError, match="is no address of a model"):
        HubAddress.parse(text)


def test_a_file_is_that_of_the_revision_and_is_checked(cache):
    folder = cache({"model.safetensors": b"one", "SHA256SUMS": sums(**{"model.safetensors": b"one"})})
    assert local_file("hf://me/net") == folder / "model.safetensors"
    cache({"model.safetensors": b"two", "SHA256SUMS": sums(**{"model.safetensors": b"two"})}, OTHER, "next")
    assert local_file("hf://me/net@next").read_bytes() == b"two"
    assert local_file(f"hf://me/net@{COMMIT}").read_bytes() == b"one"
    digest = hashlib.sha256(b"one").hexdigest()
    assert local_file(f"hf://me/net/model.safetensors#sha256={digest}").read_bytes() == b"one"
    with pytest.raises(DataError, match=r"the address says 0{64}; nothing was loaded"):
        local_file(f"hf://me/net/model.safetensors#sha256={'0' * 64}")
    (folder / "model.safetensors").write_bytes(b"onE")
    with pytest.raises(DataError, match="its SHA256SUMS says"):
        local_file("hf://me/net")


def test_without_a_list_the_hub_s_own_checksum_counts(cache):
    folder = cache({"net.pth": b"plain"})
    assert local_file("hf://me/net/net.pth").read_bytes() == b"plain"  # no checksum of it is known
    blob = folder / hashlib.sha256(b"large").hexdigest()  # as the cache names files of Git LFS
    blob.write_bytes(b"large")
    (folder / "large.pth").symlink_to(blob)
    assert local_file("hf://me/net/large.pth").read_bytes() == b"large"
    blob.write_bytes(b"other")
    with pytest.raises(DataError, match="the hub's cache says"):
        local_file("hf://me/net/large.pth")


def test_what_is_missing_is_said(cache):
    cache({"net.pth": b"x"})
    for address in ("hf://me/net", "hf://me/net@other/net.pth", "hf://you/net/net.pth"):
        with pytest.raises(FileNotFoundError, match=r"is not in the cache.*HF_HUB_OFFLINE"):
            local_file(address)


def test_errors_of_the_hub_say_what_to_do(cache, monkeypatch):
    import huggingface_hub
    from huggingface_hub import errors

    cache({})
    said = {errors.GatedRepoError: r"accept the licence at https://huggingface.co/me/net, then log in: hf auth login",
            errors.RepositoryNotFoundError: "no such repository", errors.RevisionNotFoundError: "no such revision",
            errors.RemoteEntryNotFoundError: "no such file", errors.OfflineModeIsEnabled: "cannot be used"}  # fmt: skip
    for kind, message in said.items():

        def fail(*_, kind=kind, **__):
            error = kind.__new__(kind)
            error.args = ("no",)
            raise error

        monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
        with pytest.raises(OSError, match=message):
            local_file("hf://me/net/SHA256SUMS")


def test_every_loader_takes_an_address(cache):
    from mmengine.runner.checkpoint import CheckpointLoader

    from rsseg.io.checkpoints import load_file, write_weights

    folder = cache({"x": b""})
    shared = torch.arange(3.0)
    meta = {"dataset_meta": {"classes": ["a", "b"]}, "iter": 7}
    write_weights(folder / "model.safetensors", {"w": shared, "tied": shared, "t": torch.ones(2, 3).T}, meta)
    for content in (load_file("hf://me/net"), CheckpointLoader.load_checkpoint("hf://me/net", "cpu")):
        assert content["meta"] == meta
        assert torch.equal(content["state_dict"]["tied"], shared) and content["state_dict"]["t"].shape == (3, 2)
    write_weights(folder / "net.pth", {"w": shared}, {"iter": 8})
    assert load_file("hf://me/net/net.pth")["meta"] == {"iter": 8}
