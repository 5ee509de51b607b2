"""Image files as arrays, so that a picture arrives as a viewer would show it.

A set is looked at first, then read, since some rules hold for the whole set:

| what a file holds | becomes |
|---|---|
| grey, black and white | as it is; RGB by repetition if any image of the set has colour |
| RGB, palette, CMYK, YCbCr, HSV, Lab | RGB |
| transparency (RGBA, LA, PA, a palette's, a colour key) | laid on a background [1] |
| orientation in EXIF or XMP | turned upright |
| several frames or pages | the first one (said) |
| grey of 16 or 32 bits | of 8 bits: divided by what is white [2] (said) |
| colour of 16 bits | its upper 8 bits; refused if nearly empty, as 12 bits in 16 are |
| floats | in 0..1, times 255; refused otherwise |

[1] White; or black, or else mid-grey, for the whole set, if pictures of it vanish on white.
[2] The largest value of the fewest bits (8, 10, 12, 14, 16) that hold every such image of the set.
Colour profiles and gamma are not applied. Images of another size are resized, bilinearly.
"""

import contextlib
import io
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from uncle_jax.data.publishers.archives import first_line
from uncle_jax.errors import UncleError
from uncle_jax.tasks import SLACK

if TYPE_CHECKING:
    from PIL.Image import Image

WHITE, BLACK, MID_GREY = 255, 0, 128
BACKGROUNDS = {WHITE: "white", BLACK: "black", MID_GREY: "mid-grey"}
DEPTHS = (8, 10, 12, 14, 16)  # bits
ORIENTATION = 0x0112  # in EXIF
SIDEWAYS = (5, 6, 7, 8)  # orientations that swap height and width
FAINT = 16  # grey levels: an image that differs by less shows nothing
SUFFIXES = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".bmp", ".dib", ".gif", ".webp"),
    *(".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".avif", ".jp2", ".j2k", ".jpx"),
    *(".tga", ".pcx", ".sgi", ".ras", ".qoi", ".ico"),
)
"""Of raster images that Pillow reads; `suffixes` leaves out what this Pillow does not."""


@dataclass(frozen=True)
class Encoded:
    """An image file's content that lies in no file of its own; `name` is what messages call it."""

    name: str
    content: bytes

    def __str__(self) -> str:
        return self.name

    def read_bytes(self) -> bytes:
        """Its content, as a Path gives it."""
        return self.content


@dataclass(frozen=True)
class Look:
    """What one file holds."""

    path: Path | Encoded
    size: tuple[int, int]  # height, width, upright
    grey: bool
    kind: str  # "plain", "alpha", "deep" (grey), "deep colour" or "float"
    high: float = 0.0  # the largest value, of "deep" and "float"
    vanishes: tuple[int, ...] = ()  # backgrounds on which nothing shows, of "alpha"
    blank: bool = False  # wholly transparent
    frames: bool = False  # more than one
    turned: bool = False  # by its orientation


@dataclass(frozen=True)
class Rules:
    """How every file of a set is read."""

    grey: bool
    size: tuple[int, int]  # height, width
    depth: int = 8  # bits of grey values that do not fit 8
    background: int = WHITE


def suffixes() -> tuple[str, ...]:
    """Endings, in small letters, of the image files that the installed Pillow reads."""
    from PIL import Image

    known = Image.registered_extensions()
    return tuple(s for s in SUFFIXES if known.get(s) in Image.OPEN)


def survey(
    paths: Iterable[Path | Encoded], image_size: int | None = None
) -> tuple[Rules, tuple[str, ...], tuple[str, ...]]:
    """(the rules for a set, lines on what they do to it, remarks that belong to any result).

    All images come to [image_size, image_size], or else to the most frequent size. Raises
    UncleError that names the file if one cannot be read, or holds values that are not understood.
    """
    looks = [look(path) for path in paths]
    sizes = Counter(one.size for one in looks)
    size = (image_size, image_size) if image_size is not None else sizes.most_common(1)[0][0]
    depth, background = _depth(looks), _background(looks)
    rules = Rules(all(one.grey for one in looks), size, depth, background)
    return rules, _lines(looks, rules, sizes), _remarks(looks, rules)


def look(path: Path | Encoded) -> Look:
    """What the file `path` holds. Raises UncleError that names it."""
    try:
        with _quiet(), _opened(path) as image:
            return _look(path, image)
    except UncleError:
        raise
    except Exception as error:  # Pillow raises many kinds
        raise _no_image(path, error) from None


def read(path: Path | Encoded, rules: Rules) -> np.ndarray:
    """[H, W, 1 or 3] uint8. Raises UncleError that names the file."""
    from PIL import Image

    try:
        with _quiet(), _opened(path) as opened:
            image = _flat(opened, rules).convert("L" if rules.grey else "RGB")
    except Exception as error:  # Pillow raises many kinds
        raise _no_image(path, error) from None
    height, width = rules.size
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    pixels = np.asarray(image)
    return pixels[..., None] if rules.grey else pixels


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without Pillow's warnings, as of damaged EXIF: a picture is read, or refused in a line."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _opened(path: Path | Encoded) -> "Image":
    from PIL import Image

    if isinstance(path, Encoded):
        return Image.open(io.BytesIO(path.content))
    if path.suffix.lower() in (".tif", ".tiff"):
        # Pillow 13.0 maps a plain TIFF into memory by the wrong way round if it is sideways
        return Image.open(io.BytesIO(path.read_bytes()))
    return Image.open(path)


def _no_image(path: Path | Encoded, error: Exception) -> UncleError:
    return UncleError(f"{path} is no readable image ({first_line(error)})")


# --------------------------------------------------------------------------------------------------
# One file


def _look(path: Path | Encoded, image: "Image") -> Look:
    mode, (width, height) = image.mode, image.size
    many = image.format != "MPO" and getattr(image, "is_animated", False)  # MPO: a second view
    kind, high, vanishes, blank = "plain", 0.0, (), False
    grey = mode in ("1", "L", "LA", "La", "F") or mode.startswith("I")
    if _is_float(mode) or _is_deep(mode):
        kind = "float" if _is_float(mode) else "deep"
        high = _highest(path, np.asarray(image))
    elif _is_deep_colour(image):
        kind, high = "deep colour", float(np.asarray(image.convert("RGB")).max())
    elif _sees_through(image):
        kind = "alpha"
        vanishes, blank = _vanishing(image)
    turned = _orientation(path, image)
    swapped = turned in SIDEWAYS and image.format != "TIFF"  # which Pillow turns by itself
    size = (width, height) if swapped else (height, width)
    return Look(path, size, grey, kind, high, vanishes, blank, many, turned not in (0, 1))


def _is_deep(mode: str) -> bool:
    return mode.startswith("I")  # I, I;16, I;16B, ...


def _is_float(mode: str) -> bool:
    return mode == "F"


def _is_deep_colour(image: "Image") -> bool:
    return any(re.search(r";16[BLN]", str(tile[3])) for tile in getattr(image, "tile", ()))


def _sees_through(image: "Image") -> bool:
    return image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info


def _orientation(path: Path | Encoded, image: "Image") -> int:
    """The orientation of EXIF (or XMP), 0 where there is none.

    A PNG that does not have it before its pixels is decoded for it, so only if it has it at all.
    """
    if image.format == "PNG" and "exif" not in image.info:
        raw = path.read_bytes()
        if b"eXIf" not in raw and b"xmp" not in raw and b"exif" not in raw:
            return 0
    try:
        return int(image.getexif().get(ORIENTATION, 0))
    except Exception:  # damaged EXIF, which is no reason to refuse the picture
        return 0


def _highest(path: Path | Encoded, values: np.ndarray) -> float:
    """The largest value of an image of integers or floats. Raises UncleError for odd ones."""
    low, high = float(values.min()), float(values.max())
    if values.dtype.kind == "f":
        if not (low >= -SLACK and high <= 1 + SLACK):  # nan is neither
            raise UncleError(
                f"{path} holds floats from {low:.4g} to {high:.4g} (allowed: 0 to 1; save it as "
                "8-bit integers, or divide it by what white is)"
            )
    elif low < 0 or high >= 2 ** DEPTHS[-1]:
        raise UncleError(
            f"{path} holds integers from {low:.0f} to {high:.0f} (allowed: 0 to 65535)"
        )
    return high


def _laid(image: "Image", background: int) -> "Image":
    """A transparent image on a background, L or RGB."""
    from PIL import Image

    grey = image.mode in ("L", "LA", "La", "1")
    layered = image.convert("RGBA")  # also from a palette's or a colour key's transparency
    below = Image.new("RGBA", image.size, (background,) * 3 + (255,))
    return Image.alpha_composite(below, layered).convert("L" if grey else "RGB")


def _vanishing(image: "Image") -> tuple[tuple[int, ...], bool]:
    """(backgrounds on which a transparent image shows nothing, whether it is all transparent)."""
    alpha = np.asarray(image.convert("RGBA"))[..., 3]
    if not alpha.any():
        return (), True
    if int(alpha.max()) - int(alpha.min()) < FAINT:
        return (), False  # its picture is not in its transparency
    laid = {b: np.asarray(_laid(image, b)).astype(int) for b in BACKGROUNDS}
    return tuple(b for b, a in laid.items() if np.ptp(a, axis=(0, 1)).max() < FAINT), False


def _flat(image: "Image", rules: Rules) -> "Image":
    """`image` upright, opaque, of 8 bits a channel."""
    from PIL import Image, ImageOps

    image.load()  # so that what is suppressed is damage to EXIF, not to pixels
    with contextlib.suppress(Exception):
        image = ImageOps.exif_transpose(image)
    if _is_float(image.mode):
        values = np.clip(np.asarray(image), 0, 1) * 255
        return Image.fromarray(np.round(values).astype(np.uint8))
    if _is_deep(image.mode):
        values = np.asarray(image).astype(np.float64) * (255 / (2**rules.depth - 1))
        return Image.fromarray(np.round(values).astype(np.uint8))
    if _sees_through(image):
        return _laid(image, rules.background)
    return _lab(image) if image.mode == "LAB" else image


def _lab(image: "Image") -> "Image":
    from PIL import ImageCms

    lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    made: Any = ImageCms.profileToProfile(image, lab, rgb, outputMode="RGB")
    return made


# --------------------------------------------------------------------------------------------------
# A set


def _depth(looks: Sequence[Look]) -> int:
    """The fewest bits that hold all deep grey images. Raises UncleError for near-empty colour."""
    colour = [one for one in looks if one.kind == "deep colour"]
    if colour and max(one.high for one in colour) < 64:  # 14 bits in 16, or fewer
        raise UncleError(
            f"{colour[0].path} and {len(colour) - 1} more have 16-bit colour of which 14 bits or "
            "fewer are used, and only the upper 8 can be read (allowed: 8-bit colour, or all 16)"
        )
    high = max((one.high for one in looks if one.kind == "deep"), default=0)
    return next(bits for bits in DEPTHS if high < 2**bits)


def _background(looks: Sequence[Look]) -> int:
    """The first background on which every picture shows, or the one on which the most do."""
    lost = Counter(b for one in looks for b in one.vanishes)
    return min(BACKGROUNDS, key=lambda b: lost[b])  # the first of the least


def _lines(looks: Sequence[Look], rules: Rules, sizes: Counter[tuple[int, int]]) -> tuple[str, ...]:
    """What is done to the images, in words, where anything is."""
    height, width = rules.size
    other = len(looks) - sizes[rules.size]
    heights, widths = zip(*sizes, strict=True)
    lines = []
    if other:
        spans = f"{min(heights)}-{max(heights)} high, {min(widths)}-{max(widths)} wide"
        lines.append(f"{other} of {len(looks)} images ({spans}) are resized to {height}x{width}")
    turned = sum(one.turned for one in looks)
    if turned:
        lines.append(f"{turned} of {len(looks)} images are turned upright, as their EXIF says")
    alpha = sum(one.kind == "alpha" for one in looks)
    if alpha:
        ground = BACKGROUNDS[rules.background]
        lines.append(f"{alpha} of {len(looks)} images are transparent and laid on {ground}")
    grey = sum(one.grey for one in looks)
    if grey and not rules.grey:
        lines.append(f"{grey} of {len(looks)} images are grey and become RGB")
    deep = sum(one.kind == "deep" for one in looks)
    if deep:
        lines.append(
            f"{deep} of {len(looks)} images have more than 8 bits: their values are divided by "
            f"{2**rules.depth - 1} (white)"
        )
    return tuple(lines)


def _remarks(looks: Sequence[Look], rules: Rules) -> tuple[str, ...]:
    """What is lost of the images, in words."""
    frames = [one for one in looks if one.frames]
    blank = [one for one in looks if one.blank]
    lost = [one for one in looks if rules.background in one.vanishes]
    ground = BACKGROUNDS[rules.background]
    told = (
        (frames, "have several frames, of which the first is used"),
        (blank, f"are wholly transparent, so {ground}"),
        (lost, f"show nothing on {ground}"),
    )
    return tuple(f"{len(found)} images {what} ({_some(found)})" for found, what in told if found)


def _some(looks: Sequence[Look]) -> str:
    names = [
        f"{path.parent.name}/{path.name}" if isinstance(path, Path) else path.name
        for path in (one.path for one in looks[:3])
    ]
    return ", ".join(names) + (", ..." if len(looks) > 3 else "")
