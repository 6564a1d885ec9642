"""Checkpoints with adapters: what is in them, resuming, loading into models with and without, a changed base file."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.runner import Runner
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch.utils.data import DataLoader

import rsseg.models  # noqa: F401
from rsseg.engine import load_file, load_pretrained, save_merged
from rsseg.engine.adapters import without_adapters
from rsseg.engine.model_card import Description
from rsseg.engine.sharing import write_model
from rsseg.errors import ConfigError, DataError
from rsseg.io.files import sha256_of
from tests.small_model import MODEL

pytest.importorskip("peft")
pytest.importorskip("timm")
pytestmark = pytest.mark.usefixtures("mmseg_scope")
SMALL = dict(embed_dim=32, depth=4, num_heads=2)
SWIN = dict(type="SwinTransformer", embed_dims=16, depths=(1, 1), num_heads=(2, 2), strides=(4, 2), out_indices=(1,))


def model_config(kind, base, tune):
    """A segmentor of three classes; adapters of rank 4."""
    config = copy.deepcopy(MODEL)
    config["data_preprocessor"]["size"] = (32, 32)
    if kind == "dinov3":
        config["backbone"] = dict(type="DINOv3", name="vit_small_patch16_dinov3", settings=SMALL, weights=str(base))
        config["backbone"] |= dict(tune=tune, **(dict(adapters=dict(rank=4)) if tune == "lora" else {}))
        config["decode_head"] |= dict(in_channels=32, in_index=3)
    else:
        encoder = {**SWIN, "init_cfg": dict(type="Pretrained", checkpoint=str(base))}
        config["backbone"] = encoder if tune == "full" else dict(type="Tuned", encoder=encoder, tune=tune, rank=4)
        config["decode_head"] |= dict(in_channels=32, in_index=0)
    return config


@pytest.fixture(params=["dinov3", "swin"])
def kind(request):
    return request.param


@pytest.fixture
def base(tmp_path, kind):
    """An encoder's own file; of Swin without the norm of its output, as published ones are."""
    encoder = MODELS.build(model_config(kind, "none", "full")["backbone"])
    state = {key.removeprefix("encoder."): value for key, value in encoder.state_dict().items()}
    torch.manual_seed(0)
    state = {key: torch.randn_like(value) / 5 if value.is_floating_point() else value for key, value in state.items()}
    torch.save({key: value for key, value in state.items() if key != "norm1.weight"}, tmp_path / "base.pth")
    return tmp_path / "base.pth"


class Images(torch.utils.data.Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, i):
        random = torch.Generator().manual_seed(i)
        sample = SegDataSample(metainfo=dict(ori_shape=(32, 32), img_shape=(32, 32)))
        sample.gt_sem_seg = PixelData(data=torch.randint(0, 3, (1, 32, 32), generator=random))
        return dict(inputs=torch.randint(0, 256, (3, 32, 32), generator=random).byte(), data_samples=sample)


@pytest.fixture
def train(tmp_path, monkeypatch):
    """Train a model in a folder; gives the runner."""

    def run(config, name, iters=4, resume=False, load_from=None, hooks=()):
        loader = DataLoader(Images(), batch_size=2, collate_fn=pseudo_collate)
        monkeypatch.setattr(Config, "pretty_text", "")
        runner = Runner(
            copy.deepcopy(config), str(tmp_path / name), loader,
            train_cfg=dict(type="IterBasedTrainLoop", max_iters=iters),
            optim_wrapper=dict(type="OptimWrapper", optimizer=dict(type="AdamW", lr=0.02)),
            custom_hooks=[dict(type="KeepAdapters"), dict(type="CompleteAdapters"), dict(type="SeedEachIter"), *hooks],
            default_hooks=dict(checkpoint=dict(type="CheckpointHook", interval=2, by_epoch=False)),
            experiment_name=f"{name}{iters}{resume}", resume=resume, load_from=load_from, randomness=dict(seed=1),
            default_scope="mmseg",
        )  # fmt: skip
        runner.train()
        monkeypatch.undo()
        return runner

    return run


def scores(model):
    image = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 3, 32, 32)).astype(np.float32))
    with torch.no_grad():
        return model.eval()(image, mode="tensor")


def load(config, path):
    model = MODELS.build(copy.deepcopy(config))
    load_pretrained(model, path)
    return model


def test_checkpoints_hold_adapters_and_head_and_load_everywhere(kind, base, train, tmp_path):
    config = model_config(kind, base, "lora")
    trained = train(config, "run").model
    content = load_file(tmp_path / "run" / "iter_4.pth")
    beside = [key for key in content["state_dict"] if key.startswith("backbone.") and "lora_" not in key]
    # what the file lacks is kept; a table of Swin is computed, and no weight
    assert {key.rpartition(".")[2] for key in beside if key != "backbone.norm1.weight"} <= {"relative_position_index"}
    assert ("backbone.norm1.weight" in beside) == (kind == "swin")
    about = content["meta"]["adapters"]["backbone"]
    assert (about["file"], about["sha256"], about["rank"]) == (str(base), sha256_of(base), 4)
    expected = scores(trained)
    for tune in ("lora", "full"):
        other = load(model_config(kind, base, tune), tmp_path / "run" / "iter_4.pth")
        assert not [key for key in other.state_dict() if "lora_" in key or "base_layer" in key], "merged"
        torch.testing.assert_close(scores(other), expected, rtol=1e-5, atol=1e-6)
    plain = load(model_config(kind, base, "full"), tmp_path / "run" / "iter_4.pth")
    torch.save(plain.state_dict(), tmp_path / "plain.pth")
    for tune in ("lora", "full"):
        assert torch.equal(scores(load(model_config(kind, base, tune), tmp_path / "plain.pth")), scores(plain))


def test_a_resumed_run_repeats_a_straight_one(kind, base, train, tmp_path):
    config = model_config(kind, base, "lora")
    straight = train(config, "straight").model.state_dict()
    train(config, "cut", 2)
    resumed = train(config, "cut", 4, resume=True).model.state_dict()
    assert straight.keys() == resumed.keys()
    assert all(torch.equal(value, resumed[key]) for key, value in straight.items())
    torch.save({**torch.load(base), "new": torch.ones(1)}, base)
    with pytest.raises(DataError, match=r"adapters alone, trained beside the weights \S+base.pth with the SHA-256"):
        load(config, tmp_path / "cut" / "iter_4.pth")
    base.unlink()
    with pytest.raises(DataError, match=r"base\.pth is not there\. Put that file there, or name it in the config"):
        load(config, tmp_path / "cut" / "iter_4.pth")


@pytest.mark.parametrize("by_hook", [False, True])
def test_adapters_of_a_whole_model_s_checkpoint(kind, base, train, tmp_path, by_hook):
    """A model that was trained elsewhere is what adapters stand beside, and its file is needed again."""
    first = train(model_config(kind, base, "full"), "first", 2)
    config, start = model_config(kind, base, "lora"), str(tmp_path / "first" / "iter_2.pth")
    hooks = [dict(type="LoadPretrained", checkpoint=start)] if by_hook else []
    trained = train(config, "second", load_from=None if by_hook else start, hooks=hooks).model
    own = {k.replace(".base_layer", ""): v for k, v in trained.state_dict().items() if "backbone" in k}
    before = {k: v for k, v in first.model.state_dict().items() if "backbone" in k}
    assert all(torch.equal(own[key], value) for key, value in before.items())
    content = load_file(tmp_path / "second" / "iter_4.pth")
    about = content["meta"]["adapters"]["backbone"]
    assert (about["file"], about["prefix"]) == (start, "backbone.")
    assert not [key for key in content["state_dict"] if key.startswith("backbone.") and "lora_" not in key]
    for tune in ("lora", "full"):
        other = load(model_config(kind, base, tune), tmp_path / "second" / "iter_4.pth")
        torch.testing.assert_close(scores(other), scores(trained), rtol=1e-5, atol=1e-6)


def test_full_training_goes_on_from_merged_adapters(kind, base, train, tmp_path):
    trained = train(model_config(kind, base, "lora"), "run").model
    hook = dict(type="LoadPretrained", checkpoint=str(tmp_path / "run" / "iter_4.pth"))
    config = model_config(kind, base, "full")
    model = MODELS.build(copy.deepcopy(config))
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    load_pretrained(model, hook["checkpoint"], training=True)
    torch.testing.assert_close(scores(model), scores(trained), rtol=1e-5, atol=1e-6)
    held = {id(value) for group in optimizer.param_groups for value in group["params"]}
    assert {id(value) for value in model.parameters()} == held and all(v.requires_grad for v in model.parameters())


@pytest.mark.parametrize("kind", ["swin"], indirect=True)
def test_shared_models_are_plain(kind, base, train, tmp_path):
    pytest.importorskip("huggingface_hub")
    config = model_config(kind, base, "lora")
    trained = train(config, "run").model
    custom = dict(imports=["rsseg.models"])
    Config(dict(model=config, custom_imports=custom, default_scope="mmseg")).dump(tmp_path / "config.py")
    checkpoint = str(tmp_path / "run" / "iter_4.pth")
    write_model(tmp_path / "out", str(tmp_path / "config.py"), checkpoint, "me/net", Description("cc-by-4.0"))
    plain = Config.fromfile(tmp_path / "out" / "config.py").model.to_dict()
    assert plain["backbone"]["type"] == "SwinTransformer"
    torch.testing.assert_close(scores(load(plain, tmp_path / "out" / "model.safetensors")), scores(trained))
    save_merged(str(tmp_path / "config.py"), checkpoint, tmp_path / "merged.pth")
    base.unlink()
    torch.testing.assert_close(scores(load(plain, tmp_path / "merged.pth")), scores(trained))
    with pytest.raises(ConfigError, match="--to merged requires --config"):
        save_merged(None, checkpoint, tmp_path / "merged.pth")


@pytest.mark.parametrize("kind", ["dinov3"], indirect=True)
def test_what_does_not_fit_is_refused(kind, base, train, tmp_path):
    train(model_config(kind, base, "lora"), "run", 2)
    checkpoint = tmp_path / "run" / "iter_2.pth"
    other = model_config(kind, base, "lora")
    other["backbone"]["adapters"] = dict(rank=8, alpha=4)
    with pytest.raises(
        ConfigError, match=r"adapters of backbone have rank=4, alpha=16.0, those of the config rank=8, alpha=4"
    ):
        load(other, checkpoint)
    with pytest.raises(ConfigError, match=r"has adapters, but backbone of the config has none \(tune='lora'\)"):
        train(model_config(kind, base, "full"), "run", 4, resume=True)
    content = load_file(checkpoint)
    content["meta"]["adapters"] = {"encoder": content["meta"]["adapters"]["backbone"]}
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(DataError, match="has adapters of encoder, which Segmentor of the config lacks"):
        load(other, tmp_path / "other.pth")


@pytest.mark.parametrize("kind", ["dinov3"], indirect=True)
def test_averaged_weights_go_on(kind, base, train, tmp_path):
    hook = dict(type="EMAHook", ema_type="ExponentialMovingAverage", momentum=0.5)
    straight = train(model_config(kind, base, "lora"), "straight", hooks=[hook])
    train(model_config(kind, base, "lora"), "cut", 2, hooks=[hook])
    content = load_file(tmp_path / "cut" / "iter_2.pth")
    assert not [key for key in content["ema_state_dict"] if "base_layer" in key]
    train(model_config(kind, base, "lora"), "cut", 4, resume=True, hooks=[hook])
    one, other = (load_file(tmp_path / name / "iter_4.pth") for name in ("straight", "cut"))
    for part in ("state_dict", "ema_state_dict"):
        assert one[part].keys() == other[part].keys()
        assert all(torch.equal(value, other[part][key]) for key, value in one[part].items())
    assert straight.iter == 4


def _train_with_others(rank, folder, base):
    from mmengine.registry import init_default_scope

    torch.distributed.init_process_group("gloo", f"file://{folder}/store", rank=rank, world_size=2)
    init_default_scope("mmseg")
    model = MODELS.build(model_config("dinov3", base, "lora"))
    model.init_weights()
    parallel = torch.nn.parallel.DistributedDataParallel(model, device_ids=None)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.02)
    for step in range(3):
        data = [Images()[(2 * step + rank) % 4]]
        processed = model.data_preprocessor(pseudo_collate(data), True)
        loss = sum(v for k, v in parallel(**processed, mode="loss").items() if "loss" in k)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.save(model.state_dict(), f"{folder}/{rank}.pth")
    torch.distributed.destroy_process_group()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dinov3"], indirect=True)
def test_two_processes_keep_the_same_adapters(kind, base, tmp_path):
    before = MODELS.build(model_config(kind, base, "lora"))
    before.init_weights()
    torch.multiprocessing.start_processes(_train_with_others, (str(tmp_path), str(base)), 2, start_method="fork")
    one, other = (torch.load(tmp_path / f"{rank}.pth") for rank in (0, 1))
    assert all(torch.equal(value, other[key]) for key, value in one.items() if ".bn." not in key)
    begun = before.state_dict()
    changed = {key for key, value in one.items() if not torch.equal(value, begun[key]) and key.startswith("backbone.")}
    assert changed and all("lora_" in key for key in changed)


def test_settings_of_the_plain_model():
    encoder = dict(type="SwinTransformer", depths=[1, 2])
    config = dict(backbone=dict(type="mmseg.Tuned", encoder=encoder, tune="lora", rank=4), neck=[dict(x=1)])
    assert without_adapters(config) == dict(backbone=encoder, neck=[dict(x=1)])
    dino = dict(type="DINOv3", tune="lora", adapters=dict(rank=4), weights="a.pth")
    assert without_adapters(dict(backbone=dino)) == dict(backbone=dict(type="DINOv3", tune="full", weights="a.pth"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dinov3"], indirect=True)
def test_exported_files_have_merged_adapters(kind, base, train, tmp_path, run_tool):
    """The command compares the file's scores with the checkpoint's before it writes it."""
    pytest.importorskip("onnxruntime")
    config = model_config(kind, base, "lora")
    train(config, "run")
    rows = [dict(id=i, name=name, color=f"#0000{i}0") for i, name in enumerate(("red", "green", "blue"))]
    (tmp_path / "rgb.json").write_text(json.dumps(dict(name="RGB", source="test", categories=rows)))
    config["data_preprocessor"].pop("size")
    data = dict(dataset=dict(type="TableDataset", table=str(tmp_path / "rgb.json")))
    custom = dict(imports=["rsseg.datasets", "rsseg.models"])
    Config(dict(model=config, custom_imports=custom, default_scope="mmseg", test_dataloader=data)).dump(
        tmp_path / "config.py"
    )
    files = tmp_path / "config.py", tmp_path / "run" / "iter_4.pth"
    done = run_tool("export_model", *files, "--to", "onnx", "--size", 64, "--out", tmp_path / "model.onnx")
    assert done.returncode == 0, done.stderr
    assert "3 classes" in done.stdout and (tmp_path / "model.onnx").is_file()
