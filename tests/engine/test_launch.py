"""Fitting a config to the machine, and one bf16 wrapper for all of them."""

from __future__ import annotations

import argparse

import pytest
import torch
from mmengine.config import Config
from yapf.yapflib import yapf_api

from rsseg import stack
from rsseg.engine import AutocastOptimWrapper
from rsseg.engine.launch import apply_arguments, prepare_config, start_processes, use_tta


def test_every_run_has_the_checks_once():
    cfg = Config(dict(default_hooks=dict(a=dict(type="mmseg.KeepPixels")), custom_hooks=[dict(type="CheckScores")]))
    prepare_config(cfg)
    added = [hook.type for hook in cfg.custom_hooks]
    assert added == [
        "CheckScores",
        "mmseg.AdaptationHook",
        "mmseg.AllocateSteps",
        "mmseg.CheckClasses",
        "mmseg.CheckLoss",
        "mmseg.CompleteAdapters",
        "mmseg.KeepAdapters",
        "mmseg.KeepProcesses",
        "mmseg.NameOutputs",
    ]


def test_no_workers_means_none_to_keep():
    cfg = Config(dict(val_dataloader=dict(num_workers=0, persistent_workers=True)))
    prepare_config(cfg)
    assert cfg.val_dataloader.persistent_workers is False


@pytest.mark.skipif(torch.cuda.is_available(), reason="about machines without a GPU")
def test_several_cpu_processes_get_bn_and_plain_ddp():
    model = dict(backbone=dict(norm_cfg=dict(type="SyncBN")), heads=[dict(norm_cfg=dict(type="SyncBN"))])
    cfg = Config(dict(launcher="pytorch", model=model))
    prepare_config(cfg)
    assert cfg.model.backbone.norm_cfg.type == cfg.model.heads[0].norm_cfg.type == "BN"
    assert cfg.model_wrapper_cfg.device_ids is None
    single = Config(dict(launcher="none", model=model))
    prepare_config(single)
    assert single.model.backbone.norm_cfg.type == "SyncBN"
    with pytest.raises(ValueError, match="--launcher slurm requires GPUs"):
        start_processes("slurm")


def test_arguments_reach_the_config(monkeypatch):
    monkeypatch.delenv("RSSEG_TRUST", raising=False)
    cfg = Config(dict(model=dict(a=1)))
    args = argparse.Namespace(
        cfg_options={"model.a": 2},
        launcher="none",
        config="configs/x/my_model.py",
        work_dir=None,
        local_rank=0,
        trust=0,
        log=[],
    )
    apply_arguments(cfg, args)
    assert cfg.model.a == 2
    assert cfg.work_dir == "work_dirs/x/my_model"


def test_tta_reaches_every_set():
    parts = [dict(pipeline=["a"]), dict(pipeline=["a"])]
    cfg = Config(
        dict(
            model=dict(type="M"),
            tta_model=dict(type="T"),
            tta_pipeline=["b"],
            test_dataloader=dict(dataset=dict(datasets=parts)),
        )
    )
    use_tta(cfg)
    assert cfg.test_dataloader.dataset == dict(datasets=[{}, {}], pipeline=["b"])
    assert cfg.model.module.type == "M"


def test_autocast_on_the_models_device():
    model = torch.nn.Linear(2, 2)
    wrapper = AutocastOptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    with wrapper.optim_context(model):
        assert model(torch.ones(1, 2)).dtype == torch.bfloat16
    assert model(torch.ones(1, 2)).dtype == torch.float32


def test_a_config_is_formatted_once(monkeypatch):
    calls = []
    monkeypatch.setattr(yapf_api, "FormatCode", lambda text, **options: (calls.append(text), (text, True))[1])
    stack._format_once(yapf_api)
    texts = [Config(dict(a=[1, 2], b=b)).pretty_text for b in (1, 1, 2, 3, 1, 4, 5, 1)]
    assert texts[0] == texts[1] == texts[4] and "b=2" in texts[2].replace(" ", "")
    assert len(calls) == 6, "five texts, and the first again after four others"
