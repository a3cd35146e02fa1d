"""A look at what models are shown: the first images of a group, as one small picture."""

from __future__ import annotations

import io

import numpy as np
from jaxtyping import Float
from PIL import Image
from torch import Tensor

SHOWN = 8
"""Images in a picture."""


def strip(images: Float[Tensor, "n c h w"]) -> bytes:
    """Return the first images side by side as a PNG, rounded to 8 bits per channel.

    Args:
        images: In [0, 1]; one channel is drawn grey, three as colours.
    """
    first = images[:SHOWN].detach().float().clamp(0, 1).mul(255).round().byte().cpu().numpy()
    row = np.concatenate([image.transpose(1, 2, 0) for image in first], axis=1)
    picture = io.BytesIO()
    Image.fromarray(row[:, :, 0] if row.shape[2] == 1 else row).save(picture, format="png")
    return picture.getvalue()
