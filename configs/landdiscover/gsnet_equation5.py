"""GSNet with the decoder's stages as equation 5 of the paper prints them: one 3 x 3 convolution more than the release.

    python tools/train.py configs/landdiscover/gsnet_equation5.py

Expected: no published figure, since the release has the stages of gsnet_vitb16.py.  Not run by us.  Left as in the
release: equation 4's projections, and the aggregator, which the paper does not mention.
"""

_base_ = "./gsnet_vitb16.py"

model = dict(decoder=dict(as_printed=True))
