"""Models on the hub: what is written, that it maps as the checkpoint does, and what push and pull do with the hub."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from mmengine.config import Config
from mmengine.logging import HistoryBuffer

import rsseg
from rsseg.engine.model_card import Description
from rsseg.engine.sharing import pull_model, push_model, read_scores, write_model
from rsseg.errors import ConfigError, DataError
from rsseg.io.configs import read_config
from rsseg.io.files import sha256_of
from tests.small_model import MODEL

pytest.importorskip("huggingface_hub")
COMMIT = "a1" * 20


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Config, checkpoint of a training and class table of a model whose classes are colours."""
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    import rsseg.models  # noqa: F401

    folder = tmp_path_factory.mktemp("model")
    rows = [{"id": i, "name": name, "color": f"#0000{i}0"} for i, name in enumerate(("red", "green", "blue"))]
    (folder / "rgb.json").write_text(json.dumps({"name": "RGB", "source": "test", "categories": rows}))
    data = dict(dataset=dict(type="TableDataset", table=str(folder / "rgb.json")))
    custom = dict(imports=["rsseg.datasets", "rsseg.models"])
    config = Config(dict(model=MODEL, custom_imports=custom, default_scope="mmseg", test_dataloader=data, work_dir="x"))
    config.dump(folder / "config.py")
    torch.manual_seed(3)
    init_default_scope("mmseg")
    net = MODELS.build(config.model)
    net.init_weights()
    torch.nn.init.normal_(net.decode_head.conv_seg.weight)
    log = HistoryBuffer([40.0, 71.25], [1, 1])
    meta = {"dataset_meta": {"classes": ("red", "green", "blue")}, "iter": 300, "cfg": "secret = 1", "seed": 1,
            "pixels": {"bands": None, "value_range": None, "mean": [120.0] * 3, "std": [60.0] * 3}}  # fmt: skip
    state = {**net.state_dict(), "adaptation.teacher.x": torch.ones(1)}
    content = {"state_dict": state, "meta": meta, "message_hub": {"log_scalars": {"val/mIoU": log}}, "optimizer": {}}
    torch.save(content, folder / "iter_300.pth")
    return folder


@pytest.fixture
def shared(model, tmp_path):
    about = Description("cc-by-4.0", scores={"mIoU": 70.5, "OA": 88.0})
    write_model(tmp_path / "out", str(model / "config.py"), str(model / "iter_300.pth"), "me/net", about)
    return tmp_path / "out"


@pytest.fixture
def on_hub(shared, tmp_path, monkeypatch):
    """The files in a cache of the hub, without a network."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    repo = tmp_path / "hub" / "models--me--net"
    shutil.copytree(shared, repo / "snapshots" / COMMIT)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(COMMIT)
    return repo / "snapshots" / COMMIT


def test_the_files_say_all_that_is_needed_and_no_more(shared):
    names = {path.name for path in shared.iterdir()}
    assert names == {"model.safetensors", "config.py", "README.md", "classes-1.json", "SHA256SUMS"}
    sums = dict(line.split("  ")[::-1] for line in (shared / "SHA256SUMS").read_text().splitlines())
    assert sums == {name: sha256_of(shared / name) for name in names - {"SHA256SUMS"}}
    content = rsseg.io.checkpoints.load_file(shared / "model.safetensors")
    assert content["meta"].keys() == {"dataset_meta", "pixels", "iter", "seed"}
    assert not [key for key in content["state_dict"] if key.startswith("adaptation")]
    assert "work_dir" not in (shared / "config.py").read_text()
    head, text = (shared / "README.md").read_text().split("---\n")[1:3]
    card = yaml.safe_load(head)
    assert (
        card["license"] == "cc-by-4.0" and card["classes"] == ["red", "green", "blue"] and card["mean"] == [120.0] * 3
    )
    results = card["model-index"][0]["results"][0]["metrics"]
    assert [(row["type"], row["value"]) for row in results] == [("mIoU", 70.5), ("OA", 88.0)]
    assert "| mIoU | 71.25 |" in text and "| mIoU | 70.50 |" in text and "red, green, blue" in text


def test_a_model_of_the_hub_maps_as_its_checkpoint(model, on_hub):
    image = np.random.default_rng(0).integers(0, 256, (70, 90, 3)).astype(np.uint8)
    expected = rsseg.load_model(model / "config.py", model / "iter_300.pth", device="cpu").predict(image)
    assert len(np.unique(expected)) > 1
    for given in (("hf://me/net",), (f"hf://me/net@{COMMIT}",), (model / "config.py", "hf://me/net")):
        loaded = rsseg.load_model(*given, device="cpu")
        assert loaded.classes == ("red", "green", "blue")
        assert np.array_equal(loaded.predict(image), expected)
    with pytest.raises(ConfigError, match="name the weights of Segmentor"):
        rsseg.load_model(model / "config.py")


def test_a_changed_file_is_not_used(on_hub):
    with (on_hub / "config.py").open("a") as file:
        file.write("\nx = 1\n")
    with pytest.raises(DataError, match=r"config.py is \w+, but its SHA256SUMS says"):
        read_config("hf://me/net")


def test_only_a_trusted_config_is_run(on_hub):
    with (on_hub / "config.py").open("a") as file:
        file.write("\nx = 1 + 1\n")
    sums = (on_hub / "SHA256SUMS").read_text().splitlines()
    lines = [f"{sha256_of(on_hub / name)}  {name}" for name in (line.split("  ")[1] for line in sums)]
    (on_hub / "SHA256SUMS").write_text("\n".join(lines) + "\n")
    with pytest.raises(ConfigError, match=r"has '1 \+ 1' in line \d+, which is no plain value. .*--trust"):
        read_config("hf://me/net")
    config = read_config("hf://me/net", trust=True)
    assert config.x == 2 and config.test_dataloader.dataset.table == str(on_hub / "classes-1.json")


def test_pull_copies_what_is_checked(on_hub, shared, tmp_path):
    assert {path.parent for path in pull_model("hf://me/net")} == {on_hub}
    made = pull_model("hf://me/net", tmp_path / "here")
    assert {path.name: sha256_of(path) for path in made} == {p.name: sha256_of(p) for p in shared.iterdir()}
    assert [path.name for path in pull_model("hf://me/net/config.py", tmp_path / "one")] == ["config.py"]


class Hub:
    """What ``HfApi`` does, on a dict."""

    def __init__(self, **_):
        self.calls, self.files, self.spoil = [], {}, None

    def create_repo(self, repo, **options):
        self.calls.append(("create", repo, options))

    def create_branch(self, repo, **options):
        self.calls.append(("branch", repo, options))

    def upload_folder(self, *, repo_id, folder_path, revision, allow_patterns, **_):
        self.calls.append(("upload", repo_id, revision))
        self.files = {name: sha256_of(f"{folder_path}/{name}") for name in allow_patterns}
        return SimpleNamespace(oid=COMMIT)

    def model_info(self, repo, revision, files_metadata):
        assert (repo, revision, files_metadata) == ("me/net", COMMIT, True)
        large = {"model.safetensors": {"sha256": self.spoil or self.files["model.safetensors"]}}
        return SimpleNamespace(siblings=[SimpleNamespace(rfilename=n, lfs=large.get(n)) for n in self.files])


def test_push_uploads_and_compares(shared, monkeypatch):
    import huggingface_hub

    hub = Hub()
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda **_: hub)
    files = sorted(shared.iterdir())
    (shared / "notes.txt").write_text("stays here")
    assert push_model(shared, files, "hf://me/net@trial", private=True) == f"hf://me/net@{COMMIT}"
    assert hub.calls == [
        ("create", "me/net", {"private": True, "exist_ok": True}),
        ("branch", "me/net", {"branch": "trial", "exist_ok": True}),
        ("upload", "me/net", "trial"),
    ]
    assert "notes.txt" not in hub.files
    hub.spoil = "0" * 64
    with pytest.raises(DataError, match=r"the hub has another model.safetensors than"):
        push_model(shared, files, "hf://me/net")


def test_scores_and_licences(tmp_path):
    (tmp_path / "scores.json").write_text('{"mIoU": 70.5, "name": "x", "ok": true}')
    assert read_scores(tmp_path / "scores.json") == {"mIoU": 70.5}
    (tmp_path / "scores.json").write_text('{"name": "x"}')
    with pytest.raises(DataError, match="holds no scores"):
        read_scores(tmp_path / "scores.json")
    with pytest.raises(ConfigError, match="--license other needs --license-name"):
        Description("other")


def test_the_commands(model, on_hub, tmp_path, monkeypatch, capsys):
    from rsseg.cli import pull_model, push_model

    given = ["push", str(model / "config.py"), str(model / "iter_300.pth"), "hf://me/net", "--license", "mit"]
    monkeypatch.setattr("sys.argv", [*given, "--folder", str(tmp_path / "dry"), "--dry-run"])
    push_model.main()
    assert "README.md" in capsys.readouterr().out and (tmp_path / "dry" / "model.safetensors").is_file()
    monkeypatch.setattr("sys.argv", ["pull", "hf://me/net", "--json"])
    with monkeypatch.context() as patch:
        patch.setenv("RSSEG_JSON", "")
        pull_model.main()
    assert str(on_hub / "config.py") in json.loads(capsys.readouterr().out)["files"]
    monkeypatch.setattr("sys.argv", [*given, "--dry-run"])
    with pytest.raises(SystemExit):
        push_model.main()
    assert "--dry-run requires --folder" in capsys.readouterr().err
