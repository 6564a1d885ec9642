"""Few labels: land cover of procedural scenes from 4 labelled images, fine-tuned from SEP on a CPU.

python tools/train.py configs/scenes/unet_efficientnet_lite0_few_from_sep_scenes.py
"""

_base_ = ["./unet_efficientnet_lite0_from_sep_scenes.py"]

train_dataloader = dict(dataset=dict(indices=4))
