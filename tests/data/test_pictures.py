"""A picture arrives as a viewer would show it, or is refused in a line that names it."""

import io

import numpy as np
import pytest
from PIL import Image

from uncle_jax.data import pictures
from uncle_jax.errors import UncleError


def drawn(tmp_path, *images, **more):
    """Files of `images` (arrays or PIL's), as PNG unless `form` says otherwise."""
    form, paths = more.pop("form", "PNG"), []
    for index, image in enumerate(images):
        paths.append(tmp_path / f"{index}.{form.lower()}")
        made = Image.fromarray(image) if isinstance(image, np.ndarray) else image
        made.save(paths[-1], form, **more)
    return paths


def arrived(paths, size=None):
    """(pixels of each file, lines and remarks) as a set is read."""
    rules, lines, remarks = pictures.survey(paths, size)
    return [pictures.read(path, rules) for path in paths], " ".join([*lines, *remarks])


def bar(colour=(0, 0, 0)):
    """RGBA: an opaque bar of `colour` on nothing."""
    image = np.zeros((8, 8, 4), np.uint8)
    image[2:4, 1:7] = (*colour, 255)
    return image


def test_grey_and_colour_are_as_they_are(tmp_path):
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    (image,), told = arrived(drawn(tmp_path, grey))
    np.testing.assert_array_equal(image, grey[..., None])
    assert told == ""
    colour = np.stack([grey, grey[::-1], grey.T], -1)
    (one, other), told = arrived(drawn(tmp_path, grey, colour))
    np.testing.assert_array_equal(one, np.repeat(grey[..., None], 3, -1))
    np.testing.assert_array_equal(other, colour)
    assert "1 of 2 images are grey and become RGB" in told


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_a_black_picture_on_nothing_shows_on_white(tmp_path, mode):
    image = Image.fromarray(bar())
    more = {}
    if mode == "P":
        image = Image.new("P", (8, 8), 0)
        image.putpalette([0, 0, 0, 0, 0, 0])
        image.paste(1, (1, 2, 7, 4))
        more = {"transparency": 0}
    elif mode != "RGBA":
        image = image.convert(mode)
    (pixels,), told = arrived(drawn(tmp_path, image, **more))
    assert pixels[3, 3].max() == 0
    assert pixels[0, 0].min() == 255
    assert "transparent and laid on white" in told


def test_a_white_picture_on_nothing_shows_on_black(tmp_path):
    (pixels,), told = arrived(drawn(tmp_path, bar((255, 255, 255))))
    assert (pixels[3, 3].min(), pixels[0, 0].max()) == (255, 0)
    assert "laid on black" in told


def test_pictures_in_black_and_in_white_show_on_grey(tmp_path):
    both, told = arrived(drawn(tmp_path, bar(), bar((255, 255, 255))))
    assert all(np.ptp(pixels) > 100 for pixels in both)
    assert "laid on mid-grey" in told


def test_a_wholly_transparent_picture_is_told(tmp_path):
    assert "1 images are wholly transparent" in arrived(drawn(tmp_path, bar() * 0))[1]


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "TIFF lzw", "WEBP"])
@pytest.mark.parametrize(
    ("turn", "shape"), [(1, (8, 16)), (3, (8, 16)), (6, (16, 8)), (8, (16, 8))]
)
def test_orientation_is_applied(tmp_path, form, turn, shape):
    image = Image.new("L", (16, 8))
    image.paste(255, (0, 0, 4, 8))  # left, as it is stored
    exif = image.getexif()
    exif[0x0112] = turn
    form, _, packed = form.partition(" ")
    more = {"compression": f"tiff_{packed}"} if packed else {}
    (pixels,), told = arrived(drawn(tmp_path, image, form=form, exif=exif, **more))
    assert pixels.shape[:2] == shape
    end = {1: pixels[:, 0], 3: pixels[:, -1], 6: pixels[0], 8: pixels[-1]}[turn]
    assert end.min() > 200  # where a viewer shows it
    assert ("turned upright" in told) == (turn > 1)


@pytest.mark.parametrize(
    ("high", "white"), [(65535, 65535), (4095, 4095), (1000, 1023), (200, 255)]
)
def test_deep_grey_is_divided_by_what_is_white(tmp_path, high, white):
    deep = np.linspace(0, high, 64).astype(np.uint16).reshape(8, 8)
    (pixels,), told = arrived(drawn(tmp_path, deep))
    np.testing.assert_array_equal(pixels[..., 0], np.round(deep * 255.0 / white))
    assert f"divided by {white} (white)" in told


def test_a_set_of_deep_images_has_one_white(tmp_path):
    bright, dark = (np.full((4, 4), value, np.uint16) for value in (4000, 40))
    (_, pixels), _ = arrived(drawn(tmp_path, bright, dark))
    assert pixels.max() == round(40 * 255 / 4095)


def test_32_bit_integers_and_floats(tmp_path):
    whole = np.full((4, 4), 30000, np.int32)
    (pixels,), _ = arrived(drawn(tmp_path, whole, form="TIFF"))
    assert pixels.max() == round(30000 * 255 / 32767) or pixels.max() == round(30000 * 255 / 65535)
    (pixels,), _ = arrived(drawn(tmp_path, np.full((4, 4), 0.5, np.float32), form="TIFF"))
    assert pixels.max() == 128


@pytest.mark.parametrize(
    ("image", "told"),
    [
        (np.full((4, 4), 200.0, np.float32), r"holds floats from 200 to 200 \(allowed: 0 to 1"),
        (np.full((4, 4), -0.5, np.float32), "holds floats from -0.5"),
        (np.full((4, 4), np.nan, np.float32), "holds floats from nan"),
        (np.full((4, 4), np.inf, np.float32), "holds floats from inf"),
        (np.full((4, 4), 70000, np.int32), r"holds integers from 70000 to 70000 \(allowed: 0 to"),
        (np.full((4, 4), -1, np.int32), "holds integers from -1"),
    ],
)
def test_values_that_are_not_understood_are_refused(tmp_path, image, told):
    with pytest.raises(UncleError, match=told) as caught:
        arrived(drawn(tmp_path, image, form="TIFF"))
    assert "0.tiff" in str(caught.value)


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "LAB"])
def test_other_colour_spaces_become_rgb(tmp_path, mode):
    form = {"CMYK": "JPEG", "YCbCr": "JPEG", "LAB": "TIFF"}[mode]
    red = Image.new("RGB", (8, 8), (220, 30, 40))
    if mode == "LAB":
        from PIL import ImageCms

        lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        red = ImageCms.profileToProfile(red, rgb, lab, outputMode="LAB")
    (pixels,), _ = arrived(drawn(tmp_path, red.convert(mode) if mode != "LAB" else red, form=form))
    assert np.abs(pixels[4, 4].astype(int) - (220, 30, 40)).max() < 12


def test_the_first_frame_is_used_and_told(tmp_path):
    frames = [Image.new("L", (4, 4), shade) for shade in (10, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    (pixels,), told = arrived([tmp_path / "a.gif"])
    assert pixels.max() == 10
    assert "1 images have several frames, of which the first is used" in told


@pytest.mark.parametrize("raw", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_what_is_no_image_is_named(tmp_path, raw):
    path = tmp_path / "x.png"
    path.write_bytes(raw)
    with pytest.raises(UncleError, match=r"x\.png is no readable image"):
        pictures.survey([path])


def test_damaged_exif_is_no_reason_to_refuse_a_picture(tmp_path):
    file = io.BytesIO()
    Image.new("L", (4, 4), 9).save(file, "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    (tmp_path / "x.jpg").write_bytes(file.getvalue())
    assert arrived([tmp_path / "x.jpg"])[0][0].shape == (4, 4, 1)


def test_suffixes_are_those_that_pillow_reads():
    assert {".png", ".jpg", ".jfif", ".ppm", ".pgm", ".tif", ".webp"} <= set(pictures.suffixes())
