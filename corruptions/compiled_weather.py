"""The inner loops of `corruptions.weather`, as in `corruptions.compiled`."""

from __future__ import annotations

import numpy as np

from corruptions.compiled import compile_loop, inline_loop

_RED, _GREEN, _BLUE = np.float32(0.299), np.float32(0.587), np.float32(0.114)


@inline_loop
def _write_luma(image: np.ndarray, row: int, line: np.ndarray) -> None:
    """Write one row of the luma of an image [c, h, w], in levels, as float32."""
    if len(image) == 1:
        line[:] = image[0, row]
        return
    red, green, blue = image[0, row], image[1, row], image[2, row]
    for place in range(len(line)):
        luma = np.float32(red[place]) * _RED + np.float32(green[place]) * _GREEN
        line[place] = luma + np.float32(blue[place]) * _BLUE


@compile_loop
def add_snow(
    start: int, stop: int, levels: np.ndarray, flakes: np.ndarray, kept: float, result: np.ndarray
) -> None:
    """Whiten images [n, c, h, w], of which the share `kept` stays, and add flakes [n, 1, h, w] twice.

    The second time the flakes are turned upside down.
    """
    channels, height, width = levels.shape[1:]
    whitened = np.empty(width, np.float32)
    gain, lift = np.float32(1.5), np.float32(127.5)
    share, rest = np.float32(kept), np.float32(1 - kept)
    for image in range(start, stop):
        for row in range(height):
            _write_luma(levels[image], row, whitened)
            turned = flakes[image, 0, height - 1 - row][::-1]
            fallen = flakes[image, 0, row]
            for channel in range(channels):
                source, target = levels[image, channel, row], result[image, channel, row]
                for place in range(width):
                    level = source[place]
                    white = max(level, whitened[place] * gain + lift)
                    target[place] = level * share + white * rest + fallen[place] + turned[place]


@compile_loop
def add_ice(
    start: int,
    stop: int,
    levels: np.ndarray,
    choices: np.ndarray,
    textures: tuple[np.ndarray, ...],
    rows: np.ndarray,
    columns: np.ndarray,
    shares: tuple[float, float],
    result: np.ndarray,
) -> None:
    """Write weighted sums of images [n, c, h, w] and parts of textures, uint8 [3, h, w] each.

    `choices` [n] names the textures, int64 `rows` [n, h] and `columns` [n, w] their pixels; `shares` are the
    weights of image and texture.
    """
    channels, height, width = levels.shape[1:]
    image_share, ice_share = np.float32(shares[0]), np.float32(shares[1])
    part, line = np.empty((3, 1, width), np.uint8), np.empty(width, np.float32)
    for image in range(start, stop):
        texture = textures[choices[image]]
        is_run = bool(np.all(columns[image, 1:] - columns[image, :-1] == 1))
        for row in range(height):
            for channel in range(3):
                _pick(texture[channel, rows[image, row]], columns[image], is_run, part[channel, 0])
            if channels == 1:
                _write_luma(part, 0, line)
                _mix(levels[image, 0, row], line, image_share, ice_share, result[image, 0, row])
                continue
            for channel in range(channels):
                ice, target = part[channel, 0], result[image, channel, row]
                _mix(levels[image, channel, row], ice, image_share, ice_share, target)


@inline_loop
def _pick(source: np.ndarray, columns: np.ndarray, is_run: bool, target: np.ndarray) -> None:
    if is_run:
        # Copying a run of memory is many times as fast.
        target[:] = source[columns[0] : columns[0] + len(columns)]
        return
    for place in range(len(columns)):
        target[place] = source[np.uint32(columns[place])]


@inline_loop
def _mix(
    line: np.ndarray, ice: np.ndarray, line_share: np.float32, ice_share: np.float32, target: np.ndarray
) -> None:
    for place in range(len(line)):
        target[place] = line[place] * line_share + np.float32(ice[place]) * ice_share
