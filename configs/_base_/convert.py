"""Conversion of detection labels: steps, mask models and split; a leaf adds source, out_dir, predictor and tiling."""

prompt = "hbox"
predictors = dict(
    sam=dict(type="SAMPredictor", model="vit_h", checkpoint="data/weights/sam_vit_h_4b8939.pth"),
    mobile_sam=dict(type="SAMPredictor", model="vit_t", checkpoint="data/weights/mobile_sam.pt"),
    sam2=dict(type="SAM2Predictor", config="sam2.1_hiera_l", checkpoint="data/weights/sam2.1_hiera_large.pt"),
    sam_hf=dict(type="TransformersPredictor", checkpoint="hf://facebook/sam-vit-huge"),
    sam2_hf=dict(type="TransformersPredictor", checkpoint="hf://facebook/sam2.1-hiera-large"),
    sam3=dict(type="TransformersPredictor", checkpoint="hf://facebook/sam3"),
    sam3_text=dict(type="Sam3TextPredictor", checkpoint="hf://facebook/sam3"),  # prompt: text, hbox+text or rhbox+text
    boxmask=dict(type="BoxMaskPredictor", checkpoint=None),  # --checkpoint: what rsseg train-boxmask wrote
    grabcut=dict(type="GrabCutPredictor"),
    box=dict(type="BoxPredictor"),
    truth=dict(type="GroundTruthPredictor"),
)
pipeline = [
    dict(type="CutTile"),
    dict(type="MakePrompts"),  # kind: prompt
    dict(type="PredictMasks"),  # predictor: the chosen one of predictors
    dict(type="RefineMasks"),  # off; min_predicted_iou, min_stability, clip, margin, largest_component
    dict(type="PaintLabels", order="file"),  # or large_first, score
    dict(type="PackInstances"),
]
keep_empty = False
split = dict(val_fraction=0.05, seed=0)  # by source image; by="tile" draws single tiles, as the release did
preset = None  # "samrs_compat": the semantics of the SAMRS release, whatever the rest says
