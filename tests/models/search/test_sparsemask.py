"""SparseMask: counts of the release, losses and pruning worked out by hand, and masks as files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from torch import nn

from rsseg.errors import ConfigError, DataError
from rsseg.evaluation.complexity import build_for_counting, count_multiply_adds, count_parameters
from rsseg.models.search.sparsemask import SparseMaskSearchHead, noisy_weights, sparsity_loss
from rsseg.models.search.sparsemask_backbone import SparseMaskMobileNet, tap_channels
from rsseg.models.search.sparsemask_pruning import (
    architecture_of,
    check_mask,
    mask_of,
    prune_edges,
    read_mask,
    write_mask,
)
from rsseg.models.search.widths import round_channels

pytestmark = pytest.mark.usefixtures("mmseg_scope")
CONFIGS = Path(__file__).resolve().parents[3] / "configs" / "openearthmap"
VOC = {
    "1": dict(taps=[0], ups=[0]),
    "2": dict(taps=[2], ups=[0]),
    "3": dict(taps=[3], ups=[0]),
    "8": dict(taps=[0, 1, 2, 3, 8], ups=[0, 2, 3, 4]),
}
ALL = {"method": "SparseMask", "count": 9, "nodes": VOC}
SMALL = dict(in_channels=[4, 5, 6], channels=4, num_classes=2, loss_decode=dict(type="CrossEntropyLoss"))


def built(name):
    return build_for_counting(Config.fromfile(CONFIGS / f"{name}.py").model)


def test_channels_are_rounded_to_eights():
    widths = [4, 6, 8, 10, 12]
    assert [round_channels(96 * w / 12) for w in widths] == [32, 48, 64, 80, 96]
    assert [round_channels(192 * w / 12) for w in widths] == [64, 96, 128, 160, 192]
    assert [round_channels(384 * w / 12) for w in widths] == [128, 192, 256, 320, 384]
    assert round_channels(21) == 24 and round_channels(1) == 1 and round_channels(1, 8) == 8
    assert tap_channels() == [32, 16, 24, 32, 64, 96, 160, 320, 1280]


def test_the_search_network_is_the_releases():
    model = built("sparsemask_trial1_openearthmap")
    assert count_parameters(model) == 4_170_018
    assert count_parameters(model.backbone) == 2_224_960
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert sum(p.numel() for m in norms for p in m.parameters()) == 46_848
    assert {m.momentum for m in norms} == {0.0003}
    edges = [m for m in model.decode_head.decoders.modules() if isinstance(m, nn.Conv2d)]
    assert len(edges) == 90
    assert count_multiply_adds(model, (512, 512)) == pytest.approx(2.86e9, rel=0.002)


def test_the_derived_network_is_the_releases():
    model = built("sparsemask_openearthmap")
    assert count_parameters(model) == 2_785_096
    assert count_multiply_adds(model, (512, 512)) == pytest.approx(1.871e9, rel=5e-4)
    assert count_multiply_adds(model, (1024, 1024)) == pytest.approx(7.484e9, rel=5e-4)
    head = model.decode_head
    assert head.decoders["Decoders_1"].up_convs["0"].weight.numel() == 81_920
    assert "decoders.Decoders_8.down_convs.8.weight" in head.state_dict()
    assert {norm.momentum for norm in head.modules() if isinstance(norm, nn.BatchNorm2d)} == {0.0003}


def test_search_trains_no_scale_of_normalisation_and_derived_ones_do():
    config = Config.fromfile(CONFIGS / "sparsemask_trial1_openearthmap.py").model
    with torch.device("meta"):
        search = MODELS.build({**config, "backbone": {**config.backbone, "init_cfg": None}})
    norms = [m for m in search.modules() if isinstance(m, nn.BatchNorm2d)]
    assert not any(p.requires_grad for m in norms for p in m.parameters())
    assert all(node.table.requires_grad and node.table.shape == (k + 1, 2)
               for k, node in enumerate(search.decode_head.decoders))  # fmt: skip


@torch.no_grad()
def test_maps_have_the_sizes_of_the_release():
    maps = SparseMaskMobileNet(width=0.25)(torch.randn(1, 3, 97, 65))
    sizes = [(49, 33), (49, 33), (25, 17), (13, 9), (7, 5), (7, 5), (4, 3), (4, 3), (4, 3)]
    assert [tuple(m.shape[2:]) for m in maps] == sizes
    assert [m.shape[1] for m in maps] == tap_channels(0.25)
    assert min(m.min() for m in maps) < 0  # linear


def test_sparsity_of_an_example():
    # w = (.75, .1), mean .425, ratio .5: entropy .4437, cross-entropy .7045
    assert sparsity_loss(torch.tensor([[1.5, 0.2]])).item() == pytest.approx(1.1482, abs=1e-4)
    for node, ratio in ((0, 1 / 2), (1, 1 / 2), (2, 1 / 3), (3, 1 / 4), (8, 1 / 9)):
        weights = torch.rand(node + 1, 2) * 2
        assert sparsity_loss(weights) == sparsity_loss(weights, ratio)
    table = torch.tensor([[1.2, 1.2]], requires_grad=True)
    sparsity_loss(table, 0.5).backward()
    step = table.detach() - 0.1 * table.grad
    assert sparsity_loss(step, 0.5) < sparsity_loss(table, 0.5)  # the entropy is minimised
    assert sparsity_loss(torch.tensor([[2.0, 0.0]])).isfinite()


def test_weights_are_clipped_after_noise():
    table, noise = torch.tensor([[1.0, 0.05], [1.95, 1.0]]), torch.tensor([[1.0, -1.0], [1.0, -2.0]])
    torch.testing.assert_close(noisy_weights(table, noise), torch.tensor([[1.1, 0.0], [2.0, 0.8]]))


def worked_tables():
    """Nine tables of the worked case: node 8 reads nodes 2, 3, 5 and 6, and some maps."""
    tables = [np.zeros((k + 1, 2), np.float32) for k in range(9)]
    for node, taps, ups in ((8, (0, 2, 5, 8), (3, 4, 6, 7)), (2, (0, 1), ()), (3, (0, 1), ()), (5, (0,), ()),
                            (6, (0, 4), ())):  # fmt: skip
        tables[node][list(taps), 0] = 1
        tables[node][list(ups), 1] = 1
    tables[6][2, 1] = 0.001  # half of it is not above the threshold
    tables[7][:] = 2  # nobody reads it
    return tables


def test_pruning_of_a_worked_case():
    assert prune_edges(worked_tables(), duplicates=False, subsets=False).sum() == 15
    assert prune_edges(worked_tables(), subsets=False).sum() == 12
    mask = prune_edges(worked_tables())
    assert mask.sum() == 10
    assert np.flatnonzero(mask[8, :, 1]).tolist() == [3, 7]
    assert np.flatnonzero(mask.any((1, 2))).tolist() == [2, 6, 8]
    assert check_mask(mask) is not None


def test_the_threshold_is_not_reached_by_equality():
    tables = [np.zeros((1, 2), np.float32), np.float32([[0.002, 0], [0, 0]])]
    assert not prune_edges(tables).any()
    tables[1][0, 0] = 0.0021
    assert prune_edges(tables).sum() == 1


def test_a_node_without_edges_is_read_by_nobody():
    tables = [np.zeros((1, 2)), np.zeros((2, 2)), np.zeros((3, 2))]
    tables[2][2] = 1  # map 2 and node 1, which reads nothing
    mask = prune_edges(tables)
    assert mask[2, 2].tolist() == [True, False] and mask.sum() == 1


def test_an_empty_mask_is_an_error_with_a_hint():
    mask = prune_edges([np.zeros((k + 1, 2)) for k in range(9)])
    assert not mask.any()
    with pytest.raises(DataError, match=r"no edge into the last node is left.*smaller sparsity_weight"):
        check_mask(mask, "found.json")


def test_masks_are_written_and_read(tmp_path):
    mask = mask_of(ALL)
    assert mask.shape == (9, 9, 2) and mask.sum() == 15
    for name in ("found.json", "mask_thres_0.001.npy"):
        write_mask(tmp_path / name, mask)
        assert (read_mask(tmp_path / name) == mask).all()
    raw = np.load(tmp_path / "mask_thres_0.001.npy")
    assert raw.dtype == np.bool_ and raw.flags.c_contiguous
    assert json.loads((tmp_path / "found.json").read_text())["nodes"] == VOC
    assert architecture_of(mask)["nodes"] == VOC


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"method": "Other"}, "is no architecture of SparseMask"),
        ({"method": "SparseMask", "count": 2, "nodes": {"1": {"taps": [0]}}}, "nodes must be like"),
        ({"method": "SparseMask", "count": 2, "nodes": {"7": {"taps": [0], "ups": []}}}, "nodes must be like"),
        ({"method": "SparseMask", "count": 2, "nodes": {"1": {"taps": [-1], "ups": []}}}, "a number below 0"),
        ({"method": "SparseMask", "count": 2, "nodes": {"1": {"taps": [0], "ups": [1]}}}, "reads node 0, which has no"),
        ({"method": "SparseMask", "count": 2, "nodes": {"0": {"taps": [1], "ups": []}, "1": {"taps": [0], "ups": []}}},
         "node 0 reads input 1, which comes after"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_mask_is_named(tmp_path, content, message):
    (tmp_path / "mask.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=rf"mask\.json: .*{message}"):
        read_mask(tmp_path / "mask.json")


def test_what_is_wrong_with_a_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="rsseg search CONFIG"):
        read_mask(tmp_path / "none.npy")
    np.save(tmp_path / "objects.npy", np.array([None]), allow_pickle=True)
    np.save(tmp_path / "numbers.npy", np.zeros((9, 9, 2)))
    for name, message in (("objects", "cannot be read"), ("numbers", "float64")):
        with pytest.raises(DataError, match=message):
            read_mask(tmp_path / f"{name}.npy")
    with pytest.raises(ConfigError, match="9 nodes, the backbone 3 maps"):
        MODELS.build(
            dict(SMALL, type="SparseMaskHead", architecture={"method": "SparseMask", "count": 9, "nodes": VOC})
        )


def test_the_derived_head_adds_its_edges():
    """One class, channels of 1, all ones: node 1 reads map 1 and the average of map 0, node 2 reads node 1."""
    nodes = {"1": dict(taps=[1], ups=[0]), "2": dict(taps=[], ups=[2])}
    head = MODELS.build(
        dict(type="SparseMaskHead", in_channels=[1, 1, 1], channels=1, num_classes=2,
             architecture={"method": "SparseMask", "count": 3, "nodes": nodes})
    ).eval()  # fmt: skip
    for parameter in head.parameters():
        nn.init.ones_(parameter)
    for norm in (head.decoders["Decoders_1"].bn, head.decoders["Decoders_2"].bn):
        norm.eps = 0.0
        nn.init.zeros_(norm.bias)
    fine, middle, coarse = torch.full((1, 1, 4, 4), 9.0), torch.full((1, 1, 2, 2), 2.0), torch.tensor([[[[1.0, 7.0]]]])
    # ReLU6: the average of (1, 7) is 4, plus 2 is 6; node 2 has 6, the classifier's offset makes 7
    torch.testing.assert_close(head([fine, middle, coarse]), torch.full((1, 2, 4, 4), 7.0))


def test_recomputed_edges_give_the_same_gradient():
    heads = []
    for with_cp in (True, False):
        torch.manual_seed(0)
        head = SparseMaskSearchHead(**{**SMALL, "with_cp": with_cp})
        maps = [torch.rand(2, c, s, s) for c, s in ((4, 8), (5, 4), (6, 2))]
        head(maps).square().sum().backward()
        heads.append(head)
    for one, other in zip(heads[0].parameters(), heads[1].parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_noise_is_drawn_in_evaluation_as_well():
    head = SparseMaskSearchHead(**SMALL).eval()
    maps = [torch.rand(1, c, s, s) for c, s in ((4, 8), (5, 4), (6, 2))]
    with torch.no_grad():
        assert not torch.equal(head(maps), head(maps))


def test_what_is_left_is_a_network_without_idle_nodes():
    rng = np.random.default_rng(0)
    for _ in range(500):
        share = rng.choice([0.05, 0.2, 0.5])
        mask = prune_edges([2 * rng.random((k + 1, 2)) * (rng.random((k + 1, 2)) < share) for k in range(9)])
        if mask[-1].any():
            check_mask(mask)
            assert all(mask[:, k + 1, 1].any() for k in range(8) if mask[k].any()), "each node is read"


@pytest.mark.parametrize("nodes", [{"2": dict(taps=[0], ups=[])}, {"2": dict(taps=[2], ups=[])},
                                   {"2": dict(taps=[], ups=[0])},
                                   {"0": dict(taps=[0], ups=[]), "2": dict(taps=[], ups=[1])}])  # fmt: skip
def test_one_edge_into_the_last_node_is_a_network(nodes):
    head = MODELS.build(
        {**SMALL, "type": "SparseMaskHead", "architecture": {"method": "SparseMask", "count": 3, "nodes": nodes}}
    )
    out = head([torch.rand(2, c, h, w) for c, h, w in ((4, 9, 7), (5, 5, 4), (6, 1, 1))])
    assert out.shape == (2, 2, 9, 7)
    out.square().sum().backward()
    assert all(own.grad is not None for own in head.parameters())
