r"""SegEarth-OV without its upsampler: scores of patches are interpolated bilinearly, many times faster on a CPU.

    python tools/test_vocabulary.py configs/landdiscover/segearth_ov_bilinear.py

Needs data/weights/ViT-B-16.pt alone.  Not run by us.
"""

_base_ = ["./segearth_ov_vitb16.py"]

model = dict(upsampler=None)
