r"""GSNet with CLIP ViT-B/16 and DINO ViT-B/8 on LandDiscover50K (GSNet paper, table 2), trained as released.

    python tools/train.py configs/landdiscover/gsnet_vitb16.py
    tools/dist_train.sh configs/landdiscover/gsnet_vitb16.py 2 \
        --cfg-options train_dataloader.batch_size=2

Needs data/weights/ViT-B-16.pt (OpenAI) and data/weights/gsnet_dino.pth (see configs/_base_/models/gsnet.py).
Expected (paper; mIoU): FLAIR 20.00, FAST 16.61, Potsdam 45.75, FloodNet 42.63; those who trained the release again had
17 to 21, 15, 35.5 and 40 to 42.  Not run by us.  29.0 of 244.0 M parameters are trained.
Deviations: images whose sides are no multiple of 32 are not padded before they are squeezed (mode "whole" only).
Options: model.ignore_background_in_loss=True leaves pixels without a label out, which the release trains as examples
against all classes; gsnet_vitb16_crop.py crops for real.
"""

_base_ = [
    "../_base_/models/gsnet.py",
    "../_base_/datasets/landdiscover.py",
    "../_base_/schedules/gsnet_30k.py",
    "../_base_/default_runtime.py",
]

model = dict(vocabulary="landdiscover")
# tests ask for Potsdam's classes; tools/test_vocabulary.py tests on all four sets of table 2
val_cfg = None
val_evaluator = None
test_evaluator = dict(only_true=True)
