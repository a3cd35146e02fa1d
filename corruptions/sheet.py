"""Contact sheets: one picture under every corruption and severity.

python -m corruptions.sheet photo.png sheet.png --family cifar --scale 2
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from corruptions.batch import apply
from corruptions.names import FAMILIES, SEVERITIES, SEVERITY_TABLES

LABEL_WIDTH, LINE = 118, 12


def contact_sheet(images: Tensor, family: str, scale: int, names: tuple[str, ...]) -> Image.Image:
    """Return a sheet with a row per corruption: the picture at severities 1 to 5, its name beside it.

    Args:
        images: One picture, [1, c, h, w] in [0, 1].
        family: The severity table.
        scale: Size of a pixel on the sheet.
        names: Corruptions, in two columns from top to bottom.
    """
    height, width = (size * scale + 2 for size in images.shape[2:])
    half = -(-len(names) // 2)
    column = LABEL_WIDTH + (len(SEVERITIES) + 1) * width
    sheet = Image.new("RGB", (2 * column, half * height + LINE), "white")
    draw = ImageDraw.Draw(sheet)
    for place, name in enumerate(names):
        left, top = place // half * column, place % half * height + LINE
        draw.text((left + 2, top + height // 2 - 6), name, fill="black")
        shown = [images, *(apply(images, name, severity, family=family) for severity in SEVERITIES)]
        for number, image in enumerate(shown):
            sheet.paste(_picture(image, scale), (left + LABEL_WIDTH + number * width, top))
            if place % half == 0:
                heading = str(number) if number else "clean"
                draw.text((left + LABEL_WIDTH + number * width + 2, 0), heading, fill="black")
    return sheet


def _picture(images: Tensor, scale: int) -> Image.Image:
    pixels = images[0].expand(3, -1, -1).permute(1, 2, 0).mul(255).round().to(torch.uint8).numpy()
    size = (pixels.shape[1] * scale, pixels.shape[0] * scale)
    return Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST)


def main() -> None:
    """Read a picture, or the first of an .npz of uint8 `images` [n, h, w, c], and write its sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source", help="picture, or .npz with `images`")
    parser.add_argument("target")
    parser.add_argument("--family", choices=SEVERITY_TABLES, default="imagenet")
    parser.add_argument("--scale", type=int, default=1)
    parser.add_argument("--index", type=int, default=0, help="which image of an .npz")
    parser.add_argument("--lines", action="store_true", help="add dotted_line")
    options = parser.parse_args()
    if options.source.endswith(".npz"):
        with np.load(options.source) as file:
            pixels = file["images"][options.index]
    else:
        with Image.open(options.source) as image:
            pixels = np.array(image)
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    images = torch.from_numpy(pixels).permute(2, 0, 1)[None].contiguous().float() / 255
    names = tuple(name for names in FAMILIES.values() for name in names)
    sheet = contact_sheet(
        images, options.family, options.scale, (*names, "dotted_line") if options.lines else names
    )
    sheet.save(options.target, optimize=True)


if __name__ == "__main__":
    main()
