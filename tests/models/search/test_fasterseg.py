"""FasterSeg: worked examples of its arithmetic, counts of its networks, derivation and architectures as files."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

from rsseg.errors import ConfigError, DataError
from rsseg.evaluation.complexity import build_for_counting, count_multiply_adds, count_parameters, count_parameters_run
from rsseg.models.search.fasterseg_derivation import (
    choose_branches,
    choose_operators,
    derive_branches,
    find_path,
    least_length,
    objective,
)
from rsseg.models.search.fasterseg_latency import LatencyTable, macs_of, supernet_latency, weighted_latency
from rsseg.models.search.fasterseg_losses import distillation_loss, gumbel_choice, ohem_target
from rsseg.models.search.fasterseg_operators import build_operator
from rsseg.models.search.fasterseg_structure import architecture_of, network_latency, read_structure, structure_of
from rsseg.models.search.fasterseg_supernet import FasterSegSupernet, cell_rows

pytestmark = pytest.mark.usefixtures("mmseg_scope")
MULTIPLIERS = (4 / 12, 6 / 12, 8 / 12, 10 / 12, 1.0)
SMALL = dict(layers=3, base=4, widths=(0.5, 1.0), student_width=0.5)
WIDTHS = {2: [w / 12 for w in (4, 4, 4, 8, 4, 4, 4, 4, 4)], 1: [w / 12 for w in (4, 4, 4, 4, 4, 4, 4, 12)]}
# The student for Cityscapes: operators and paths as published; widths with which all counts are the release's.
STUDENT = {
    "method": "FasterSeg",
    "branches": [
        dict(last=2, path=[0] * 4 + [1] * 4 + [2] * 2, ops=[3, 3, 4, 2, 4, 4, 4, 4, 4, 4], widths=WIDTHS[2]),
        dict(last=1, path=[0] * 6 + [1] * 3, ops=[3, 3, 4, 4, 3, 3, 4, 4, 4], widths=WIDTHS[1]),
    ],
}


def even_parameters(layers=16, seed=None, index=1):
    """All parameters alike, or random ones."""
    rng = np.random.default_rng(seed)

    def make(*shape):
        return np.full(shape, 1e-3, np.float32) if seed is None else rng.normal(size=shape).astype(np.float32)

    out = {f"alpha_{index}_{s}": make(layers - s, 5) for s in range(3)}
    out |= {f"beta_{index}_{s}": make(layers - s - 1, 2) for s in (1, 2)}
    return out | {f"ratio_{index}_{s}": make(layers - max(s, 1), 5) for s in range(3)}


def betas(row1, row2=None):
    """Probabilities that favour coming down at these rows."""
    out = {1: np.tile(np.float32([0, 5]), (14, 1)), 2: np.tile(np.float32([0, 5]), (13, 1))}
    for scale, row in ((1, row1), (2, row2)):
        if row is not None:
            out[scale][row] = 5, 0
    return {s: np.exp(b) / np.exp(b).sum(-1, keepdims=True) for s, b in out.items()}


def test_paths_of_the_examples():
    assert find_path(betas(4), 0, 16) == [0] * 16
    assert find_path(betas(4), 1, 16) == [0] * 5 + [1] * 11
    assert find_path(betas(4, 7), 2, 16) == [0] * 6 + [1] * 4 + [2] * 6
    with pytest.raises(ConfigError, match="5 layers or more, got 3"):
        find_path(betas(4), 1, 3)


def test_least_lengths_and_objective():
    assert [least_length(16, last) for last in range(3)] == [5, 7, 9]
    assert objective(0.5, 8.3) == 0.5
    assert objective(0.5, 6.0) == pytest.approx(0.51149, abs=1e-5)
    assert objective(0.5, 12.0) == pytest.approx(0.48726, abs=1e-5)
    assert choose_branches(0.5, 6.0, 0.5, 12.0) == (2, 0)
    assert choose_branches(0.5, 8.3, 0.5, 8.3) == (2, 1)


def test_skips_go_until_the_least_length_is_left():
    """All operators are skips: 11 of 16 cells go, the most probable ones; five stay with their second-best operator."""
    alphas = [np.tile(np.float32([2, 0, 1, 0, 0]), (16 - s, 1)) for s in range(3)]
    alphas[0][:, 0] += np.arange(16) / 10
    ops, path, widths = choose_operators(alphas, [0] * 16, [0.5] * 15)
    assert ops == [2] * 5 and path == [0] * 5 and len(widths) == 4
    assert np.isneginf(alphas[0][:5, 0]).all() and np.isfinite(alphas[0][5:, 0]).all()


def test_not_all_cells_between_two_downs_may_be_skips():
    alphas = [np.tile(np.float32([0, 1, 0, 0, 0]), (16 - s, 1)) for s in range(3)]
    path = [0] * 5 + [1] * 11
    alphas[1][4:, 0] = 2  # from position 5 on
    alphas[1][8 - 1, 0] = 1.5  # the least probable of them
    ops, short, widths = choose_operators(alphas, path, [0.5] * 15)
    # the one at 8 becomes operator 1; 9 of 16 may go, of 11 skips the one at 8 counts among them, but is none
    assert np.isneginf(alphas[1][7, 0])
    assert ops.count(0) == 0 and short == [0] * 5 + [1] * (len(short) - 5) and len(ops) == len(widths) + 1
    assert len(ops) == 7


def test_a_skip_that_goes_down_becomes_its_second_best():
    alphas = [np.tile(np.float32([0, 1, 0, 0, 0]), (16 - s, 1)) for s in range(3)]
    alphas[0][4] = 5, 0, 0, 3, 0
    ops, path, _ = choose_operators(alphas, [0] * 5 + [1] * 11, [1.0] * 15)
    assert ops[4] == 3 and len(path) == 16


def test_the_releases_order_leaves_skips_out_that_a_fresh_derivation_has():
    parameters = even_parameters()
    parameters["alpha_1_0"][:, 0] = 3  # skips everywhere at 1/8
    fresh = derive_branches(parameters, MULTIPLIERS)
    assert fresh == derive_branches(parameters, MULTIPLIERS), "the parameters stay as they are"
    shared = derive_branches(parameters, MULTIPLIERS, release_defects=True)
    assert shared[0] == fresh[0] and shared[2] != fresh[2]
    for branch in (*fresh.values(), *shared.values()):
        assert 0 not in branch.ops and len(branch.ops) == len(branch.path) == len(branch.widths) + 1
        assert len(branch.ops) >= least_length(16, branch.last)


def test_a_teacher_has_no_skips_and_full_width():
    parameters = even_parameters(index=0, seed=1)
    parameters |= {f"ratio_0_{s}": np.zeros((16 - max(s, 1), 1)) for s in range(3)}
    for branch in derive_branches(parameters, MULTIPLIERS, 0, forbid_skips=True).values():
        assert len(branch.ops) == 16 and set(branch.widths) == {1.0} and 0 not in branch.ops


def test_the_student_has_the_counts_of_the_release():
    head = dict(type="FasterSegHead", num_classes=8)
    config = dict(type="FasterSeg", architecture=STUDENT, backbone=dict(type="FasterSegBackbone"), decode_head=head,
                  test_cfg=dict(mode="whole"))  # fmt: skip
    model = build_for_counting(config)
    assert count_parameters(model) == 4_379_320
    heads = [model.decode_head.heads16, model.decode_head.heads32]
    assert 4_379_320 - sum(count_parameters(part) for part in heads) == 3_453_224
    assert count_parameters_run(model, (64, 64)) == 3_420_456
    assert count_multiply_adds(model, (1024, 1024)) == pytest.approx(13.86e9, rel=5e-4)
    names = set(model.backbone.cells)
    assert names == {f"{layer}-0" for layer in range(10)} | {f"{layer}-1" for layer in range(9)}
    cells = model.backbone.cells
    assert [cells[f"{i}-0"] is cells[f"{i}-1"] for i in range(9)] == [True] * 3 + [False] * 6


def test_operators_have_the_sizes_of_the_table():
    x = torch.rand(2, 4, 8, 6)
    for op in range(1, 5):
        assert build_operator(op, 4, 6)(x).shape == (2, 6, 8, 6)
    for op in range(5):
        assert build_operator(op, 4, 6, 2)(x).shape == (2, 6, 4, 3)
    assert build_operator(0, 4, 4)(x) is x
    with pytest.raises(ConfigError, match="keeps the channels"):
        build_operator(0, 4, 6)
    with pytest.raises(ConfigError, match=r"operators 0 \.\. 4, got 5"):
        build_operator(5, 4, 6)
    skip = build_operator(0, 1, 2, 2).eval()
    for conv in (skip.conv1, skip.conv2):
        nn.init.ones_(conv.weight)
    image = torch.arange(16.0).view(1, 1, 4, 4)
    out = skip(image) * (1 + skip.bn.eps) ** 0.5
    torch.testing.assert_close(out[0, 0], torch.tensor([[0.0, 2.0], [8.0, 10.0]]))
    torch.testing.assert_close(out[0, 1], torch.tensor([[5.0, 7.0], [13.0, 15.0]]))


def test_the_supernet_has_the_counts_of_the_release():
    for layers, millions in ((3, 25.2), (16, 252.0)):
        head = dict(type="FasterSegSearchHead", num_classes=8)
        config = dict(type="FasterSegSearch", backbone=dict(type="FasterSegSupernet", layers=layers), decode_head=head)
        model = build_for_counting(config)
        assert f"{count_parameters(model) / 1e6:.1f}" == f"{millions:.1f}"
    shapes = {name: tuple(own.shape) for name, own in model.backbone.architecture_parameters().items()}
    assert shapes["alpha_1_0"] == (16, 5) and shapes["alpha_0_2"] == (14, 5)
    assert shapes["beta_1_1"] == (14, 2) and shapes["beta_1_2"] == (13, 2)
    assert shapes["ratio_1_0"] == shapes["ratio_1_1"] == (15, 5) and shapes["ratio_0_2"] == (14, 1)


def test_both_ends_of_an_edge_name_the_same_row():
    for layer in range(1, 16):
        for scale in range(min(layer, 2) + 1):
            source = cell_rows(layer, scale, 16)[0]
            if scale < layer or scale == 0:
                assert source == cell_rows(layer - 1, scale, 16)[1]
            if scale:
                assert source == cell_rows(layer - 1, scale - 1, 16)[2]


def test_a_choice_is_one_hot_with_the_gradient_of_the_softmax():
    ratios, noise = torch.tensor([0.2, 0.1, 0.4], requires_grad=True), torch.tensor([0.0, 1.0, 0.0])
    choice = gumbel_choice(ratios, noise)
    assert choice.tolist() == [0.0, 1.0, 0.0]
    (choice @ torch.tensor([1.0, 2.0, 3.0])).backward()
    expected = ratios.detach().clone().requires_grad_()
    ((expected.log_softmax(-1) + noise).softmax(-1) @ torch.tensor([1.0, 2.0, 3.0])).backward()
    torch.testing.assert_close(ratios.grad, expected.grad)


def logits_of(probabilities):
    """Logits (1, 2, 1, n) in which class 0 has these probabilities."""
    p = torch.tensor(probabilities, dtype=torch.float64)
    return torch.stack([p.log(), (1 - p).log()])[None, :, None]


def test_hard_pixels_are_those_of_the_rule():
    logits = logits_of([0.9, 0.2, 0.8, 0.6, 0.95])
    target = torch.tensor([[[0, 0, 0, 0, 255]]])
    assert ohem_target(logits, target, 1).flatten().tolist() == [255, 0, 255, 0, 255]  # at most .7
    assert ohem_target(logits, target, 3).flatten().tolist() == [255, 0, 0, 0, 255]  # at most .8, the third
    assert ohem_target(logits, target, 5).flatten().tolist() == [0, 0, 0, 0, 255]  # fewer than 5 are labelled


def test_distillation_is_the_mean_over_all_numbers():
    student, teacher = torch.tensor([0.5, 0.5]).log(), torch.tensor([0.25, 0.75]).log()
    expected = (0.25 * np.log(0.25 / 0.5) + 0.75 * np.log(0.75 / 0.5)) / 2
    shape = (1, 2, 1, 1)
    assert distillation_loss(student.view(shape), teacher.view(shape)).item() == pytest.approx(expected, abs=1e-6)


def test_a_pass_has_maps_at_three_scales_and_unit_scores():
    torch.manual_seed(0)
    net = FasterSegSupernet(**SMALL).eval()
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        maps = net(images, 1, "sampled")
        assert [tuple(m.shape[1:]) for m in maps] == [(16, 8, 8), (32, 4, 4), (64, 2, 2)]
        assert [m.shape[1] for m in net(images, 0, "max")] == [32, 64, 128]
    for row in net.choose_widths(1, "sampled")[0]:
        assert row.score.item() == 1 and row.share in (0.5, 1.0)
    with pytest.raises(ConfigError, match="and the cells"):
        FasterSegSupernet(3, 4, MULTIPLIERS)


def test_latency_of_layers_by_multiply_adds():
    assert macs_of(("conv", 8, 8, 2, 3, 1)) == 64 * 9 * 6
    assert macs_of(("conv_2x", 8, 8, 2, 3, 2)) == 16 * 9 * (6 + 9)
    assert macs_of(("conv_downup", 8, 8, 2, 3, 1)) == 16 * 9 * 6
    assert macs_of(("conv_2x_downup", 8, 8, 2, 3, 1)) == 16 * 9 * (6 + 9)
    assert macs_of(("skip", 8, 8, 2, 4, 2)) == 16 * 8
    assert macs_of(("convnorm1", 8, 8, 2, 3, 1)) == 64 * 6
    key = ("conv_2x_downup", 8, 8, 2, 2, 1)
    assert LatencyTable(release_defects=True)(*key) == LatencyTable()("conv_2x", *key[1:]) != LatencyTable()(*key)
    with pytest.raises(ConfigError, match="expected 'macs' or 'measured'"):
        LatencyTable(kind="guessed")


def test_latency_of_a_supernet_by_hand():
    """Every layer takes a millisecond: the stem 3, then one for each layer on every way, so 7 at each scale."""

    class Even(LatencyTable):
        def __call__(self, *key):
            return 1.0

    net = FasterSegSupernet(**{**SMALL, "layers": 4})
    use = net.probabilities(1, "max")
    assert supernet_latency(net, Even(), use).item() == pytest.approx(7.0)
    released = supernet_latency(net, Even(), use, release_defects=True).item()
    assert released > 7.0  # outputs at the next scale count their own layer twice


def test_latency_reaches_all_parameters_of_the_student():
    net, table = FasterSegSupernet(**{**SMALL, "layers": 5}), LatencyTable()
    for own in net.architecture_parameters(1).values():
        own.requires_grad_(True)
    weighted_latency(net, lambda use: supernet_latency(net, table, use, size=(64, 128))).backward()
    gradients = {name: own.grad for name, own in net.architecture_parameters(1).items()}
    dead = [name for name, own in gradients.items() if own is None or own.abs().sum() == 0]
    assert not dead


def test_latency_of_a_network_is_that_of_its_layers():
    structure = structure_of(STUDENT)
    model = build_for_counting(
        dict(type="FasterSeg", architecture=STUDENT, backbone=dict(type="FasterSegBackbone"),
             decode_head=dict(type="FasterSegHead", num_classes=8), test_cfg=dict(mode="whole"))
    )  # fmt: skip
    expected = 0.1 * count_multiply_adds(model, (256, 512)) / 1e9
    assert network_latency(structure, LatencyTable(), 8, (256, 512)) == pytest.approx(expected, rel=1e-6)


def test_architectures_are_written_and_read(tmp_path):
    structure = structure_of(STUDENT)
    content = architecture_of(structure)
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert architecture_of(read_structure(tmp_path / "a.json")) == content
    assert [cell.names for cell in structure.cells()][:2] == [["0-0", "0-1"], ["1-0", "1-1"]]
    assert structure.left_channels(0) == {0: structure.cells()[3].before, 1: 64}


def test_architecture_files_of_the_release_are_derived_as_there(tmp_path):
    parameters = even_parameters(seed=3)
    parameters["alpha_1_0"][:, 0] += 3
    state = {name: nn.Parameter(torch.from_numpy(own)) for name, own in parameters.items()}
    state |= dict(mIoU02=np.float64(0.5), mIoU12=np.float64(0.6), latency02=5.0, latency12=6.0)
    torch.save(state, tmp_path / "arch_1.pt", _use_new_zipfile_serialization=False)
    branches = derive_branches(parameters, MULTIPLIERS, release_defects=True)
    assert read_structure(tmp_path / "arch_1.pt").branches == (branches[2], branches[1])
    torch.save({"weights": torch.ones(1)}, tmp_path / "other.pt")
    with pytest.raises(DataError, match="no architecture of FasterSeg"):
        read_structure(tmp_path / "other.pt")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(method="SparseMask"), "is no architecture of FasterSeg"),
        (dict(branches=[]), "is no architecture of FasterSeg"),
        (dict(operators=["skip"]), "has operators"),
        (dict(branches=[dict(last=0)]), "needs last, path, ops and widths"),
        (dict(branches=[dict(last=1, path=[0, 0], ops=[1, 1], widths=[1])]), "must begin at scale 0"),
        (dict(branches=[dict(last=0, path=[0, 0], ops=[1], widths=[1])]), "1 operators"),
        (dict(branches=[STUDENT["branches"][1], STUDENT["branches"][0]]), "the coarsest first"),
    ],
)
def test_what_is_wrong_with_an_architecture_is_named(change, message):
    with pytest.raises(DataError, match=message):
        structure_of({**STUDENT, **change})
    with pytest.raises(FileNotFoundError, match="rsseg search CONFIG"):
        read_structure("none.json")
