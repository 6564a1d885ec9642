"""Views of an image for DINO (Caron et al. 2021 and release): two of most of it, 224 x 224, eight of parts, 96 x 96."""


def _view(scale, part, blur, solarise=0.0):
    """A random part (of the area) as scale x scale pixels, flipped and in other tones; two probabilities."""
    tones = dict(type="ColorJitter", brightness=0.4, contrast=0.4, saturation=0.2, hue=0.1, backend="cv2")
    return [
        dict(type="RandomResizedCrop", scale=scale, crop_ratio_range=part, backend="pillow", interpolation="bicubic"),
        dict(type="RandomFlip", prob=0.5),
        dict(type="RandomApply", transforms=[tones], prob=0.8),
        dict(type="RandomGrayscale", prob=0.2, keep_channels=True, channel_weights=(0.114, 0.587, 0.299)),
        dict(type="GaussianBlur", magnitude_range=(0.1, 2.0), magnitude_std="inf", prob=blur),
        dict(type="Solarize", thr=128, prob=solarise),
    ]


def _multi_crop(large, small, count, parts):
    """Two global views, which differ in blur and solarisation, and ``count`` local ones."""
    views = [_view(large, parts[0], 1.0), _view(large, parts[0], 0.1, 0.2), _view(small, parts[1], 0.5)]
    return [dict(type="MultiView", num_views=[1, 1, count], transforms=views), dict(type="PackInputs")]


multi_crop = _multi_crop(224, 96, 8, ((0.4, 1.0), (0.05, 0.4)))
multi_crop_small = _multi_crop(64, 32, 4, ((0.4, 1.0), (0.05, 0.4)))  # for a CPU
