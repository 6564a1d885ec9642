"""Scores of several labels per image: by hand, and against scikit-learn."""

import csv

import numpy as np
import pytest
import sklearn.metrics
import torch
from mmengine.evaluator import Evaluator

from rsseg.evaluation.multilabel import LabelScores, average_precision, class_counts, prf, sample_scores

T, F = True, False
# true 0 1, predicted 1 2: one hit of two, one label of two; all right; nothing predicted; one hit of three
TRUTH = np.array([[T, T, F, F], [F, F, F, T], [T, F, F, F], [F, T, F, F]])
PREDICTED = np.array([[F, T, T, F], [F, F, F, T], [F, F, F, F], [T, T, T, F]])


def case(seed, images=300, classes=7, levels=None):
    """GroundTruthMasks, probabilities (with ties where ``levels`` is given)."""
    rng = np.random.default_rng(seed)
    truth = rng.random((images, classes)) < rng.uniform(0.05, 0.6, classes)
    truth[:5] = False  # images without a label
    scores = np.clip(rng.normal(0.35 + 0.25 * truth, 0.2), 0, 1).astype(np.float32)
    if levels:
        scores = np.round(scores * levels).astype(np.float32) / levels
    scores[5:9] = 0.1  # images without a predicted one
    return truth, scores


def evaluate(truth, scores, **options):
    evaluator = Evaluator(LabelScores(**options))
    evaluator.dataset_meta = {"classes": tuple(f"class {i}" for i in range(truth.shape[1]))}
    samples = [
        dict(pred_score=torch.from_numpy(s), gt_label=torch.from_numpy(np.nonzero(t)[0]), img_path=f"somewhere/p{i}")
        for i, (t, s) in enumerate(zip(truth, scores, strict=True))
    ]
    evaluator.metrics[0].process({}, samples)
    return evaluator.evaluate(len(samples))


def test_scores_by_hand():
    scores = sample_scores(TRUTH, PREDICTED)
    assert scores["P"] == pytest.approx((1 / 2 + 1 + 0 + 1 / 3) / 4)
    assert scores["R"] == pytest.approx((1 / 2 + 1 + 0 + 1) / 4)
    # of the last: P 1/3, R 1 give F1 = 2/3 / (4/3) and F2 = 5/3 / (4/3 + 1)
    assert scores["F1"] == pytest.approx((1 / 2 + 1 + 0 + 1 / 2) / 4)
    assert scores["F2"] == pytest.approx((1 / 2 + 1 + 0 + 5 / 7) / 4)
    hits, predicted, labelled = class_counts(TRUTH, PREDICTED, None)
    assert (hits, predicted, labelled) == (3, 6, 5)
    assert prf(3, 6, 5)["F1"] == pytest.approx(2 * 3 / 11)


@pytest.mark.parametrize("average", ["samples", "micro", "macro", None])
@pytest.mark.parametrize("seed", [0, 1])
def test_scores_are_scikit_learns(average, seed):
    truth, scores = case(seed)
    axis = {"samples": 1, "micro": None, "macro": 0, None: 0}[average]
    ours = prf(*class_counts(truth, scores >= 0.5, axis))
    for beta in (1, 2):
        theirs = sklearn.metrics.precision_recall_fscore_support(
            truth, scores >= 0.5, beta=beta, average=average, zero_division=0
        )
        for key, value in zip(("P", "R", f"F{beta}"), theirs, strict=False):
            own = ours[key] if average is None else ours[key].mean()
            np.testing.assert_allclose(own, value, atol=1e-12)


@pytest.mark.parametrize("levels", [None, 4])
def test_average_precision_is_scikit_learns_also_with_ties(levels):
    truth, scores = case(2, levels=levels)
    for i in range(truth.shape[1]):
        expected = sklearn.metrics.average_precision_score(truth[:, i], scores[:, i])
        assert average_precision(truth[:, i], scores[:, i]) == pytest.approx(expected, abs=1e-12)
    # by hand: hits at ranks 1 and 3
    assert average_precision(np.array([T, F, T, F]), np.array([0.9, 0.8, 0.7, 0.1])) == pytest.approx((1 + 2 / 3) / 2)
    assert np.isnan(average_precision(np.zeros(3, bool), np.zeros(3)))


def test_the_metric_gives_all_of_them():
    truth, scores = case(3)
    out = evaluate(truth, scores)
    predicted = scores >= 0.5
    for average, prefix in (("samples", ""), ("micro", "micro/"), ("macro", "macro/")):
        for key, beta in (("F1", 1), ("F2", 2)):
            theirs = sklearn.metrics.fbeta_score(truth, predicted, beta=beta, average=average, zero_division=0)
            assert out[prefix + key] == pytest.approx(100 * theirs, abs=0.006)
        assert out[f"{prefix}P"] == pytest.approx(
            100 * sklearn.metrics.precision_score(truth, predicted, average=average, zero_division=0), abs=0.006
        )
    assert out["mAP"] == pytest.approx(100 * sklearn.metrics.average_precision_score(truth, scores), abs=0.006)
    micro = sklearn.metrics.average_precision_score(truth, scores, average="micro")
    assert out["micro/AP"] == pytest.approx(100 * micro, abs=0.006)


def test_classes_that_do_not_occur_and_the_threshold():
    truth, scores = np.array([[T, F], [F, F]]), np.array([[0.5, 0.1], [0.2, 0.6]], np.float32)
    out = evaluate(truth, scores)
    assert out["mAP"] == 100.0  # of the first class; the second has no image
    assert out["macro/P"] == 100.0 and out["P"] == 50.0  # a probability of 0.5 counts
    assert evaluate(truth, scores, threshold=0.7)["micro/P"] == 0.0


def test_predictions_are_written(tmp_path):
    evaluate(
        np.array([[T, F], [T, T]]), np.array([[0.9, 0.6], [0.2, 0.1]], np.float32), output_dir=str(tmp_path / "out")
    )
    with (tmp_path / "out" / "predictions.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["image", "labels", "predicted", "class 0", "class 1"]
    assert rows[1] == ["p0", "class 0", "class 0; class 1", "0.9000", "0.6000"]
    assert rows[2] == ["p1", "class 0; class 1", "", "0.2000", "0.1000"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["predictions.csv"]


def test_images_without_labels_are_predicted_and_not_scored(tmp_path):
    evaluator = Evaluator(LabelScores(output_dir=str(tmp_path / "out")))
    evaluator.dataset_meta = {"classes": ("wood", "water")}
    samples = [dict(pred_score=torch.tensor(p), img_path=str(tmp_path / f"p{i}")) for i, p in
               enumerate([[0.75, 0.5], [0.25, 0.125]])]  # fmt: skip
    evaluator.metrics[0].process({}, samples)
    assert evaluator.evaluate(2) == {}
    with (tmp_path / "out" / "predictions.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[1:] == [["p0", "", "wood; water", "0.7500", "0.5000"], ["p1", "", "", "0.2500", "0.1250"]]
    assert not (tmp_path / "out" / "predictions.gpkg").exists()  # nothing says where they lie
    evaluator = Evaluator(LabelScores())
    evaluator.metrics[0].process({}, samples)
    with pytest.raises(ValueError, match="--out FOLDER"):
        evaluator.evaluate(2)
