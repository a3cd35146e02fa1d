"""More inner loops, as in `corruptions.compiled`: those that read images at other places."""

from __future__ import annotations

import numpy as np

from corruptions.compiled import _compile


@_compile
def quadrant(
    start: int,
    stop: int,
    planes: np.ndarray,
    kernel: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    result: np.ndarray,
) -> None:
    """Filter planes [n, h, w] by a kernel given by its lower right quarter.

    `rows` and `columns` are the places that -reach to size + reach - 1 stand for, int64.
    """
    height, width = planes.shape[1:]
    reach = len(kernel) - 1
    line = np.empty(width + 2 * reach, np.float32)
    for plane in range(start, stop):
        for row in range(height):
            target = result[plane, row]
            target[:] = 0
            for down in range(reach + 1):
                above = planes[plane, rows[row + reach - down]]
                below = planes[plane, rows[row + reach + down]]
                share = np.float32(1 if down else 0.5)
                for place in range(reach, reach + width):
                    line[place] = (above[place - reach] + below[place - reach]) * share
                for place in range(reach):
                    line[place] = line[reach + columns[place]]
                    line[reach + width + place] = line[reach + columns[reach + width + place]]
                for right in range(reach + 1):
                    weight = kernel[down, right] * np.float32(1 if right else 0.5)
                    if weight:
                        left_part = line[reach - right : reach - right + width]
                        right_part = line[reach + right : reach + right + width]
                        for place in range(width):
                            target[place] += (left_part[place] + right_part[place]) * weight


@_compile
def walk(
    start: int,
    stop: int,
    images: np.ndarray,
    down: np.ndarray,
    right: np.ndarray,
    weights: np.ndarray,
    result: np.ndarray,
) -> None:
    """Add up weighted readings of images [n, c, h, w] along a line of whole pixels, one line per image.

    The image's edge goes on beyond it. `down` and `right` are int64 [n, steps].
    """
    channels, height, width = images.shape[1:]
    for image in range(start, stop):
        margin = np.abs(right[image]).max()
        line = np.empty((height, width + 2 * margin), np.float32)
        for channel in range(channels):
            plane = images[image, channel]
            line[:, :margin] = plane[:, :1]
            line[:, margin : margin + width] = plane
            line[:, margin + width :] = plane[:, width - 1 :]
            for row in range(height):
                target = result[image, channel, row]
                target[:] = 0
                for step in range(len(weights)):
                    source = min(max(row + down[image, step], 0), height - 1)
                    first = margin + right[image, step]
                    part = line[source, first : first + width]
                    weight = weights[step]
                    for place in range(width):
                        target[place] += part[place] * weight


@_compile
def sample(
    start: int,
    stop: int,
    images: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    is_edge: int,
    result: np.ndarray,
) -> None:
    """Read images [n, c, h w] at fractional rows and columns [n, h, w], linearly.

    The image is mirrored at the edge of its outermost pixels or, with `is_edge` 0, at their centre.
    """
    channels = images.shape[1]
    height, width = rows.shape[1:]
    for image in range(start, stop):
        for row in range(height):
            for column in range(width):
                y, x = rows[image, row, column], columns[image, row, column]
                top, left = np.floor(y), np.floor(x)
                down, right = y - top, x - left
                upper = _fold(int(top), height, is_edge) * width
                lower = _fold(int(top) + 1, height, is_edge) * width
                near, far = _fold(int(left), width, is_edge), _fold(int(left) + 1, width, is_edge)
                for channel in range(channels):
                    flat = images[image, channel]
                    first = (flat[upper + far] - flat[upper + near]) * right + flat[upper + near]
                    second = (flat[lower + far] - flat[lower + near]) * right + flat[lower + near]
                    result[image, channel, row, column] = (second - first) * down + first


@_compile
def _fold(position: int, size: int, is_edge: int) -> int:
    """Mirror a position less than one size outside; farther ones go to the edge."""
    if position < 0:
        position = -position - is_edge
    if position > size - 1:
        position = 2 * (size - 1) + is_edge - position
    return min(max(position, 0), size - 1)


@_compile
def copy_neighbours(start: int, stop: int, offsets: np.ndarray, reach: int, source: np.ndarray) -> None:
    """Overwrite every inner pixel by the one at its offset, from the last to the first, as published.

    `source` int32 [n, h, w] holds where each pixel's value came from; `offsets` are [n, 2, h, w], of the
    inner pixels.
    """
    height, width = source.shape[1:]
    for image in range(start, stop):
        for row in range(height - reach, reach, -1):
            for column in range(width - reach, reach, -1):
                down = offsets[image, 0, row - reach - 1, column - reach - 1] - reach
                right = offsets[image, 1, row - reach - 1, column - reach - 1] - reach
                source[image, row, column] = source[image, row + down, column + right]
