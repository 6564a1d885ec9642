"""Which images to label next: those for which a model of the labels so far is expected to have a high loss.

Source: OpenEarthMap paper, section 2.1: a segmentation model is trained on every tenth image; a second model regresses
its loss; images of high predicted loss are added.  What it regresses from is not said.  Here it is ridge regression
(scikit-learn) from the mean features of the encoder, the mean probability of each class, and the mean entropy.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from rsseg.datasets.checking.counts import labelled_parts
from rsseg.datasets.checking.parts import Part
from rsseg.engine.features import features_and_scores
from rsseg.errors import ConfigError, DataError, MissingPackageError
from rsseg.io.bands import PixelSpec
from rsseg.io.progress import Progress
from rsseg.metainfo import IGNORE

__all__ = ["Fit", "Proposal", "describe", "image_loss", "propose_images"]

Floats = NDArray[np.float64]
_log = logging.getLogger("rsseg")
_FOLDS = 5
_ALPHAS = np.logspace(-2, 4, 13)


@dataclass(frozen=True)
class Proposal:
    """An image without label: its predicted loss, and the mean entropy of its pixels (in nats)."""

    image: Path
    predicted_loss: float
    entropy: float


@dataclass(frozen=True)
class Fit:
    """How well the loss of labelled images is predicted that the regression did not see (five parts in turn).

    Attributes:
        images: Number of labelled images.
        rank_correlation: Spearman's correlation between predicted and true loss.
        of_entropy: That between entropy and true loss, which needs no regression.
    """

    images: int
    rank_correlation: float
    of_entropy: float


def image_loss(scores: torch.Tensor, ids: NDArray[np.uint8]) -> float:
    """Mean cross entropy of an image's labelled pixels; NaN where none is labelled.

    Args:
        scores: (C, H, W) float before the softmax.
        ids: (H, W) uint8 training ids, 255 where unlabelled.
    """
    target = torch.from_numpy(ids.astype(np.int64))[None]
    return float(functional.cross_entropy(scores[None], target, ignore_index=IGNORE))


def describe(features: Floats, scores: torch.Tensor) -> Floats:
    """What the loss is predicted from: features (D,), mean probabilities (C,), and mean entropy in nats, in a row."""
    logs = scores.log_softmax(0)
    shares = logs.exp().mean((1, 2))
    entropy = -(logs.exp() * logs).sum(0).mean()
    return np.concatenate([features, shares.double().numpy(), [float(entropy)]])


def propose_images(
    model: Any, config: Any, pool: Sequence[Path], split: str = "val", size: int | None = None
) -> tuple[list[Proposal], Fit]:
    """Rank images without labels by the loss that the model is expected to have.

    Args:
        model: A trained segmentor, see :func:`rsseg.engine.features.load_encoder`.
        config: Segmentation config whose ``split`` has labelled images that the model was not trained with.
        pool: Images without labels.
        split: ``val``, ``test`` or ``train``.
        size: Side to which images are resized first; None takes them as they are.

    Returns:
        The images, highest predicted loss first; and how well the loss is predicted.

    Raises:
        MissingPackageError: scikit-learn is not installed.
        ConfigError: There are fewer labelled images than ten.
        FileNotFoundError: The split cannot be opened, or has no labels.
        DataError: An image or label cannot be read.
    """
    try:
        from sklearn.linear_model import RidgeCV
        from sklearn.model_selection import KFold, cross_val_predict
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
    except ImportError as error:
        raise MissingPackageError('the regression needs scikit-learn: pip install "rsseg[optional]"') from error
    parts = labelled_parts(config, [split])
    spec = next((part.spec for part in parts if part.spec is not None), PixelSpec(repeat_grey=True))
    known, losses = _labelled(model, parts, size, spec)
    if len(losses) < 2 * _FOLDS:
        raise ConfigError(f"{len(losses)} images of {split} have labels; the regression needs at least {2 * _FOLDS}")
    regression = make_pipeline(StandardScaler(), RidgeCV(alphas=_ALPHAS))
    folds = KFold(_FOLDS, shuffle=True, random_state=0)
    guessed = cross_val_predict(regression, known, losses, cv=folds)
    fit = Fit(len(losses), _rank_correlation(guessed, losses), _rank_correlation(known[:, -1], losses))
    rows = np.array(_described(model, pool, size, spec))
    predicted = regression.fit(known, losses).predict(rows)
    order = np.argsort(-predicted, kind="stable").tolist()
    return [Proposal(pool[i], float(predicted[i]), float(rows[i, -1])) for i in order], fit


def _labelled(model: Any, parts: Sequence[Part], size: int | None, spec: PixelSpec) -> tuple[Floats, Floats]:
    """Descriptions (N, K) and losses (N,) of the images that have a labelled pixel."""
    rows, losses = [], []
    progress = Progress(sum(len(part.files) for part in parts), "labelled images")
    for part in parts:
        for image, label in part.files:
            assert label is not None
            features, scores = features_and_scores(model, image, size, spec)
            loss = image_loss(scores, _ids(part, label, scores.shape[1:], size))
            if np.isfinite(loss):
                rows.append(describe(features, scores))
                losses.append(loss)
            progress.step()
    progress.close()
    return np.array(rows), np.array(losses)


def _described(model: Any, pool: Sequence[Path], size: int | None, spec: PixelSpec) -> list[Floats]:
    progress, rows = Progress(len(pool), "images without labels"), []
    for image in pool:
        rows.append(describe(*features_and_scores(model, image, size, spec)))
        progress.step()
    progress.close()
    return rows


def _ids(part: Part, label: Path, shape: Sequence[int], size: int | None) -> NDArray[np.uint8]:
    """Training ids of a label file, in the size of the scores."""
    ids = part.ids(label)
    if size is not None:
        ids = np.asarray(cv2.resize(ids, (shape[1], shape[0]), interpolation=cv2.INTER_NEAREST))
    if ids.shape != tuple(shape):
        raise DataError(f"{label} is {ids.shape} high and wide, its image {tuple(shape)}")
    return ids


def _rank_correlation(one: Floats, other: Floats) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(one, other).statistic)
