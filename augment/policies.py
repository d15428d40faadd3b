"""The classical policies; the only module that imports Albumentations.

``thesis``: the plates thesis' policy, six transforms at p = 0.3 each; it ruined that thesis'
detector. ``safe``: the default. Every pixel it makes is one of the photo's pixels, moved by whole
pixels and passed through one mild tone curve, so masks move exactly, no interpolation thins or
blurs a defect, and none is hidden by noise. Flips that the clean images themselves rule out (an
anode never lies at the bottom) are left out: see ``symmetry``.
"""

import os
import sys
import warnings
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import cv2

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
# Albumentations imports torch, where it finds it, for one transform that is not used here; that
# would cost every worker seconds and some 200 MB.
_hidden = {"torch": None} if "torch" not in sys.modules else {}
sys.modules.update(_hidden)  # type: ignore[arg-type]
try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import albumentations as A
finally:
    for _name in _hidden:
        del sys.modules[_name]

Flips = tuple[bool, bool]
P = ParamSpec("P")


def _strict(policy: Callable[P, A.Compose]) -> Callable[P, A.Compose]:
    """Make a policy that drops a part an error: "Argument(s) ... not valid" is only a warning."""

    @wraps(policy)
    def made(*args: P.args, **kwargs: P.kwargs) -> A.Compose:
        # The transforms must be made in here too: it is they that warn.
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return policy(*args, **kwargs)

    return made


@_strict
def safe_policy(flips: Flips) -> A.Compose:
    """Flips, whole-pixel shifts up to 5% with reflected edges, and a mild tone curve."""
    across, down = flips
    nearest = cv2.INTER_NEAREST
    return A.Compose(
        [
            A.HorizontalFlip(p=0.5 if across else 0.0),
            A.VerticalFlip(p=0.5 if down else 0.0),
            # A pure shift by the nearest pixel is a shift by whole pixels.
            A.Affine(
                translate_percent=(-0.05, 0.05),
                interpolation=nearest,
                mask_interpolation=nearest,
                border_mode=cv2.BORDER_REFLECT_101,
                p=0.9,
            ),
            A.RandomBrightnessContrast(
                brightness_limit=(-0.06, 0.06), contrast_limit=(-0.08, 0.08), p=0.8
            ),
        ]
    )


@_strict
def thesis_policy(height: int, width: int) -> A.Compose:
    """The plates thesis' six transforms, p = 0.3 each; both flips whatever the data says.

    RandomScale changes the size, so the picture is padded by reflection or cropped back.
    """
    reflect = cv2.BORDER_REFLECT_101
    nearest = cv2.INTER_NEAREST
    # OpenCV's plain nearest resize takes the top left pixel: masks would move by up to a pixel.
    centred = cv2.INTER_NEAREST_EXACT
    return A.Compose(
        [
            A.RandomScale(scale_limit=(-0.1, 0.1), mask_interpolation=centred, p=0.3),
            A.PadIfNeeded(height, width, border_mode=reflect, p=1.0),
            A.RandomCrop(height, width, p=1.0),
            A.Rotate(limit=(-10, 10), border_mode=reflect, mask_interpolation=nearest, p=0.3),
            A.VerticalFlip(p=0.3),
            A.HorizontalFlip(p=0.3),
            A.Blur(blur_limit=(3, 3), p=0.3),
            A.RandomBrightnessContrast(
                brightness_limit=(-0.05, 0.05), contrast_limit=(-0.05, 0.05), p=0.3
            ),
        ]
    )
