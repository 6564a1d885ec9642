"""Test-time augmentation of models that give probabilities instead of logits."""

from __future__ import annotations

import torch
from mmengine.structures import PixelData
from mmseg.models import SegTTAModel
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

__all__ = ["FlipsModel"]


@MODELS.register_module()
class FlipsModel(SegTTAModel):
    """mmseg's; where the model's scores are probabilities already, their mean is taken without another softmax."""

    def merge_preds(self, data_samples_list: list[list[SegDataSample]]) -> list[SegDataSample]:
        """One prediction for each image.

        Args:
            data_samples_list: For each image the predictions of its views, with what was turned turned back.
        """
        if not getattr(self.module, "probabilities", False):
            return super().merge_preds(data_samples_list)
        out = []
        for views in data_samples_list:
            scores = torch.stack([view.seg_logits.data for view in views]).mean(0)
            sample = views[0]
            sample.set_data({
                "seg_logits": PixelData(data=scores),
                "pred_sem_seg": PixelData(data=self.module.labels_of(scores)[None]),
            })  # fmt: skip
            out.append(sample)
        return out
