"""TFDS builders (classic style) that write a source's images as array_record, without TensorFlow.

TFDS's own builders of these sets import TensorFlow to prepare; these do not. They write examples in
the publisher's order, so that what is decoded can be compared with what was published.
"""

import contextlib
import errno
import io
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from uncle_jax.data.publishers.catalogue import Source
from uncle_jax.data.publishers.formats import Example, Splits, encode_png
from uncle_jax.errors import UncleError


class SourceBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Labelled images of one `Source`, whose archives a reader has opened."""

    VERSION = tfds.core.Version("1.0.0")

    def __init__(self, source: Source, splits: Splits, **kwargs: Any) -> None:
        self.source, self.splits = source, splits
        super().__init__(**kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        image = tfds.features.Image(shape=self.source.image_shape, encoding_format="png")
        label = tfds.features.ClassLabel(num_classes=self.source.n_classes)
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict({"image": image, "label": label}),
            supervised_keys=("image", "label"),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, dict]]]:
        del dl_manager  # the archives are there already (publishers/archives.py)
        return {
            "train": self._generate_examples("train", self.splits.train),
            "test": self._generate_examples("test", self.splits.test),
        }

    def _generate_examples(
        self, split: str, examples: Iterable[Example]
    ) -> Iterator[tuple[int, dict]]:
        index, name, n_classes = -1, self.source.name, self.source.n_classes
        for index, (image, label) in enumerate(examples):
            if not 0 <= label < n_classes:
                raise UncleError(
                    f"{name}: {split} image {index} has label {label} (0 to {n_classes - 1})"
                )
            raw = encode_png(image) if isinstance(image, np.ndarray) else image
            yield index, {"image": raw, "label": label}
        if index < 0:
            raise UncleError(f"{name}: there is no {split} image")


def build(source: Source, splits: Splits, folder: Path) -> Any:
    """A builder whose examples lie prepared below `folder`."""
    # TFDS names folders after the class.
    kind: Any = type(source.name, (SourceBuilder,), {"name": source.name}, skip_registration=True)
    folder.mkdir(parents=True, exist_ok=True)
    builder = kind(source, splits, data_dir=str(folder), file_format="array_record")
    tfds.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it announces every folder
            builder.download_and_prepare(download_dir=str(folder / "downloads"))
    except RuntimeError as error:  # array_record has no other for what the disk refuses
        line = str(error).splitlines()[0]
        if "write() failed" not in line:
            raise
        full = "No space left" in line
        raise OSError(errno.ENOSPC if full else errno.EIO, line) from None
    shutil.rmtree(folder / "downloads", ignore_errors=True)  # empty: nothing was downloaded
    return builder


def encoded(builder: Any, split: str) -> Any:
    """A split's records, in the publisher's order, with `image` as encoded bytes."""
    return builder.as_data_source(split=split, decoders={"image": tfds.decode.SkipDecoding()})
