"""p-values between models of labels: McNemar by hand and by SciPy, files, and what is refused."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from rsseg.evaluation.label_predictions import LabelPredictions, common_predictions, read_predictions
from rsseg.experiments.label_comparison import compare_classes, compare_scores, write_significance
from rsseg.structures.significance import holm

COUNT = 10


def _models():
    """Ten images with both of two classes; the first model finds the first one twice, the second ten times."""
    truth = np.ones((COUNT, 2), bool)
    weak, strong = truth.copy(), truth.copy()
    weak[2:, 0] = False
    names = tuple(f"p{i}" for i in range(COUNT))
    return {name: LabelPredictions(("wood", "water"), names, truth, own)
            for name, own in (("weak", weak), ("strong", strong))}  # fmt: skip


def test_classes_by_hand():
    wood, water, both = compare_classes(*_models().values())
    p = binomtest(0, 8).pvalue  # eight images, all for the second model
    assert (wood["only_first_right"], wood["only_second_right"], wood["images"]) == (0, 8, 10)
    assert wood["p_mcnemar"] == pytest.approx(p) == 2 / 2**8 and wood["p_holm"] == pytest.approx(2 * p)
    assert water["p_mcnemar"] == 1 and both["class"] == "all labels" and both["p_mcnemar"] == pytest.approx(p)


def test_scores_by_hand():
    rows = {row["score"]: row for row in compare_scores(*_models().values())}
    assert (rows["R"]["first_value"], rows["R"]["second_value"]) == (60, 100)  # (2 + 8 / 2) / 10
    assert rows["R"]["difference"] == pytest.approx(40) and rows["R"]["p_bootstrap"] < 0.01
    assert rows["R"]["p_wilcoxon"] < 0.01 and rows["P"]["p_wilcoxon"] == 1  # what is predicted is right


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06]) and holm([0.9, 0.8]) == [1, 1]


def test_files(tmp_path, caplog):
    models = _models()
    assert len(write_significance(models, tmp_path)) == 4
    with (tmp_path / "p_values_classes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["class"] == "wood" and float(rows[0]["p_holm"]) == pytest.approx(4 / 256, rel=1e-5)
    assert rows[2]["p_holm"] == ""
    few = {name: own.taken(own.names[:5]) for name, own in models.items()}
    assert write_significance(few, tmp_path / "few") == [] and "six images" in caplog.text


def test_predictions_of_a_test(tmp_path):
    head, name = "image,labels,predicted,wood,water", tmp_path / "predictions.csv"
    name.write_text(f"{head}\na,wood; water,water,0.1,0.9\nb,,wood,0.9,0.1\nc,wood,,0.1,0.1\n")
    found = read_predictions(tmp_path)
    assert found.classes == ("wood", "water") and found.names == ("a", "c")
    assert found.truth.tolist() == [[True, True], [True, False]]
    assert found.predicted.tolist() == [[False, True], [False, False]]
    name.write_text(f"{head}\na,wod,water,0.1,0.9\n")
    with pytest.raises(ValueError, match="line 2: 'wod' is none of the columns"):
        read_predictions(name)
    name.write_text(f"{head}\nb,,wood,0.9,0.1\n")
    with pytest.raises(ValueError, match="no image has true labels"):
        read_predictions(name)


def test_models_meet_by_their_images():
    weak, strong = _models().values()
    found = common_predictions({"weak": weak, "strong": strong.taken(["p3", "p1"])})
    assert [own.names for own in found.values()] == [("p1", "p3")] * 2
    assert found["weak"].predicted.tolist() == [[True, True], [False, True]]
    with pytest.raises(ValueError, match="classes"):
        common_predictions({"weak": weak, "strong": replace(strong, classes=("wood", "sand"))})
    with pytest.raises(ValueError, match="p0: strong and weak were tested with other true labels"):
        common_predictions({"weak": weak, "strong": replace(strong, truth=~strong.truth)})
