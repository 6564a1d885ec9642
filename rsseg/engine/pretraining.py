"""Importing this brings mmpretrain's models and transforms into the registries; only its configs name it."""

from rsseg.stack import require_pretraining

require_pretraining()

__all__: list[str] = []
