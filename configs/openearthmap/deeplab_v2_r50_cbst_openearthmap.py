"""CBST with DeepLabV2: OpenEarthMap, 73 regions to 24 others (paper, table 6).

    python tools/train.py configs/openearthmap/deeplab_v2_r50_cbst_openearthmap.py

Expected (paper, on target_test.txt, whose labels are not public): mIoU 52.01 (source only 50.01).  Not run by us.
Defect of the release: thresholds come from a softmax of probabilities; here from one softmax of the logits. The
release's numbers: model.adaptation.release_defects=True. The paper names no settings; these are LoveDA's release's.
No choice is made on the target's labels; scores are those of target_val.txt.
"""

_base_ = [
    "../_base_/models/deeplab_v2_r50.py",
    "../_base_/datasets/adapt_openearthmap.py",
    "../_base_/schedules/adapt_10k_sgd.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=8, form="ppm"), adaptation=dict(type="CBST"))
train_dataloader = dict(dataset=dict(target=dict(pipeline={{_base_.placed_pipeline_512}})))
