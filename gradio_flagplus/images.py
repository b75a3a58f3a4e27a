"""Pixels and sound: what a Python caller hands over, and WebP that Gradio made, as files without loss."""

from __future__ import annotations

import io
import struct
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from .errors import WrongValues

_FAST = 1  # PNG's level: a third of the default's time for a tenth more bytes
_PNG_MODES = {"1", "L", "LA", "I;16", "P", "RGB", "RGBA"}


def png_of(value: Any) -> bytes:
    """A NumPy array or a PIL image as PNG, without loss.

    Arrays: `(height, width)`, `(height, width, 1)`, `(…, 3)` or `(…, 4)`, of uint8, or of floats in [0, 1], which
    become the nearest of 256 steps, as Gradio does it. Raises `WrongValues` for anything else.
    """
    image = value if isinstance(value, Image.Image) else Image.fromarray(_pixels(value))
    if image.mode not in _PNG_MODES or not all(image.size):
        raise WrongValues(
            f"An image of mode {image.mode!r} and size {image.size} cannot be stored as PNG without loss. "
            "Nothing was written. Convert it to RGB, RGBA or L first."
        )
    return _png(image)


def _pixels(array: np.ndarray) -> np.ndarray:
    """The array as uint8, shaped as Pillow wants it."""
    is_image = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4))
    is_float = array.dtype.kind == "f"
    if not is_image or not array.size or not (is_float or array.dtype == np.uint8):
        raise _no_image(array)
    if is_float:
        if not (array.min() >= 0 and array.max() <= 1):  # also catches NaN
            raise _no_image(array, " with values outside [0, 1]")
        array = np.rint(array.astype(np.float64) * 255).astype(np.uint8)
    return np.ascontiguousarray(array[:, :, 0] if array.shape[2:] == (1,) else array)


def _no_image(array: np.ndarray, more: str = "") -> WrongValues:
    return WrongValues(
        f"An array of shape {array.shape} and dtype {array.dtype}{more} is no image. Nothing was written. "
        "Give (height, width), (height, width, 3) or (height, width, 4), of uint8 or of floats in [0, 1]."
    )


def _png(image: Image.Image) -> bytes:
    extras = {key: image.info[key] for key in ("exif", "icc_profile") if image.info.get(key)}
    with io.BytesIO() as out:
        image.save(out, "PNG", compress_level=_FAST, **extras)
        return out.getvalue()


def png_of_webp(file: BinaryIO) -> bytes | None:
    """An open WebP file as PNG with equal pixels, its orientation mark and colour profile kept.

    None where it must stay what it is: an animation, or nothing that Pillow can read. The file is left at its start.
    """
    try:
        with Image.open(file, formats=["WEBP"]) as image:
            return None if getattr(image, "is_animated", False) else _png(image)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    finally:
        file.seek(0)


def png_of_figure(figure: Any) -> bytes:
    """A matplotlib figure as PNG, as large as the figure says."""
    with io.BytesIO() as out:
        figure.savefig(out, format="png")
        return out.getvalue()


_PCM, _FLOAT = 1, 3  # RIFF's format tags
_SAMPLES = {"u1": _PCM, "i2": _PCM, "i4": _PCM, "f4": _FLOAT, "f8": _FLOAT}


def wav_of(rate: Any, samples: np.ndarray) -> bytes:
    """`(samples,)` or `(samples, channels)` of uint8, int16, int32, float32 or float64 as WAV with the same samples.

    Floats are written as such (format tag 3), so nothing is rounded. Raises `WrongValues` for anything else.
    """
    code = f"{samples.dtype.kind}{samples.dtype.itemsize}"
    channels = samples.shape[1] if samples.ndim == 2 else 1
    fits = samples.ndim in (1, 2) and 0 < channels < 1 << 16 and samples.nbytes < (1 << 32) - 64
    if code not in _SAMPLES or not fits or not 0 < int(rate) < 1 << 32:
        raise WrongValues(
            f"An array of shape {samples.shape} and dtype {samples.dtype} at {rate} Hz is no sound. "
            "Nothing was written. Give (samples,) or (samples, channels), of uint8, int16, int32, float32 or float64."
        )
    tag, width = _SAMPLES[code], samples.dtype.itemsize
    data = samples.astype(samples.dtype.newbyteorder("<"), copy=False).tobytes()
    frame = channels * width
    form = struct.pack("<HHIIHH", tag, channels, int(rate), int(rate) * frame % (1 << 32), frame, width * 8)
    chunks = _chunk(b"fmt ", form)
    if tag == _FLOAT:
        chunks += _chunk(b"fact", struct.pack("<I", len(data) // frame))
    chunks += _chunk(b"data", data)
    return _chunk(b"RIFF", b"WAVE" + chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
