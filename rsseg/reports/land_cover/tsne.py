"""t-SNE of a few hundred points, exact and repeatable.

Source: van der Maaten and Hinton, JMLR 2008; initial positions from the principal components, as later implementations
have them, so that there is nothing random.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["affinities", "tsne"]

Floats = NDArray[np.float64]

_EXAGGERATION, _EARLY = 12.0, 250
_LARGEST = 5000
"""Points beyond which the full matrices stop being reasonable."""


def affinities(points: Floats, perplexity: float) -> Floats:
    """Conditional similarities of points, with the bandwidth of each point chosen for the perplexity.

    Args:
        points: (N, D).
        perplexity: In (1, N - 1); 2 to the entropy (in bits) of every row.

    Returns:
        (N, N), rows sum to 1, zeros on the diagonal.
    """
    squares = (points**2).sum(1)
    distances = np.maximum(squares[:, None] + squares[None] - 2 * points @ points.T, 0)
    np.fill_diagonal(distances, np.inf)
    distances = distances - distances.min(1, keepdims=True)  # of no effect on the rows, but nothing underflows
    scale = max(float(np.median(distances[np.isfinite(distances)])), 1e-12)
    low, high = np.full(len(points), 1e-12 / scale), np.full(len(points), 1e12 / scale)
    for _ in range(100):
        rows, entropy = _rows(distances, np.sqrt(low * high))
        flat = entropy > np.log(perplexity)
        low, high = np.where(flat, np.sqrt(low * high), low), np.where(flat, high, np.sqrt(low * high))
    return rows


def _rows(distances: Floats, precision: Floats) -> tuple[Floats, Floats]:
    """Gaussian rows and their entropies in nats."""
    rows = np.exp(-distances * precision[:, None])
    rows /= rows.sum(1, keepdims=True)
    entropy = -(rows * np.log(np.maximum(rows, 1e-300))).sum(1)
    return rows, entropy


def tsne(points: Floats, perplexity: float = 30.0, steps: int = 1000) -> Floats:
    """Positions of points in the plane such that similar ones lie close together.

    Args:
        points: (N, D) features.
        perplexity: About the number of neighbours that count; at most (N - 1) / 3 is used.
        steps: Steps of gradient descent; the first 250 (at most half) exaggerate the similarities.

    Returns:
        (N, 2) float64, the same for the same input.

    Raises:
        ValueError: There are fewer than 4 points or more than 5000, or a feature is not finite.
    """
    points = np.asarray(points, np.float64)
    if not 4 <= len(points) <= _LARGEST or not np.isfinite(points).all():
        raise ValueError(f"t-SNE takes 4 to {_LARGEST} points of finite features, not {points.shape}")
    centred = points - points.mean(0)
    rows = affinities(centred, min(perplexity, (len(points) - 1) / 3))
    target = np.maximum((rows + rows.T) / (2 * len(points)), 1e-12)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    out = np.zeros((len(points), 2))
    out[:, : min(2, len(values))] = (left * values)[:, :2]
    signs = np.sign(out[np.abs(out).argmax(0), [0, 1]])
    out *= np.where(signs == 0, 1, signs) * 1e-4 / max(float(out[:, 0].std()), 1e-12)  # an axis has no sign of its own
    early = min(_EARLY, steps // 2)
    rate = max(len(points) / _EXAGGERATION / 4, 50.0)
    speed, gains = np.zeros_like(out), np.ones_like(out)
    for step in range(steps):
        slope = _gradient(target * (_EXAGGERATION if step < early else 1.0), out)
        gains = np.maximum(np.where(np.sign(slope) == np.sign(speed), gains * 0.8, gains + 0.2), 0.01)
        speed = (0.5 if step < early else 0.8) * speed - rate * gains * slope
        out = out + speed
        out -= out.mean(0)
    return out


def _gradient(target: Floats, points: Floats) -> Floats:
    """Gradient (N, 2) of the divergence between the similarities (N, N) and those of the points in the plane."""
    squares = (points**2).sum(1)
    kernel = 1 / (1 + np.maximum(squares[:, None] + squares[None] - 2 * points @ points.T, 0))
    np.fill_diagonal(kernel, 0)
    pull = (target - np.maximum(kernel / kernel.sum(), 1e-12)) * kernel
    return 4 * (pull.sum(1)[:, None] * points - pull @ points)
