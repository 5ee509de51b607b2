"""Publishers' files in miniature, for the tests of all that reads them."""

import dataclasses
import gzip
import hashlib
import http.server
import io
import pickle
import struct
import tarfile
import threading
import zipfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from uncle_jax.data.publishers import catalogue as sources
from uncle_jax.data.publishers.catalogue import Source
from uncle_jax.data.publishers.formats import MNIST_FILES, encode_png
from uncle_jax.data.publishers.prepared import Options, Prepared
from uncle_jax.errors import UncleError
from uncle_jax.tasks import Data


def pixels(seed: int, *shape: int) -> np.ndarray:
    return np.random.RandomState(seed).randint(0, 256, shape).astype(np.uint8)


def classes(n: int, n_classes: int = 10) -> np.ndarray:
    """`n` labels in an order that is not that of the classes, each as often as can be."""
    return ((np.arange(n) * 7 + 3) % n_classes).astype(np.uint8)


def idx_bytes(array: np.ndarray) -> bytes:
    head = struct.pack(">I", 0x0800 | array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(np.uint8).tobytes()


def mnist_files(n_train: int = 30, n_test: int = 20) -> dict[str, bytes]:
    """The IDX quartet, gzipped, by file name."""
    parts = (pixels(0, n_train, 28, 28), classes(n_train), pixels(1, n_test, 28, 28))
    parts += (classes(n_test),)
    return {
        name: gzip.compress(idx_bytes(part), mtime=0)
        for name, part in zip(MNIST_FILES, parts, strict=True)
    }


def tar_bytes(members: dict[str, bytes], level: int = 1) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz", compresslevel=level) as tar:
        for name, raw in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(raw)
            tar.addfile(info, io.BytesIO(raw))
    return file.getvalue()


def zip_bytes(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, raw in members.items():
            archive.writestr(name, raw)
    return file.getvalue()


def cifar_rows(seed: int, n: int) -> np.ndarray:
    """Rows [n, 3072] of a red, a green and a blue plane."""
    return pixels(seed, n, 3072)


def cifar100_members(n_train: int = 200, n_test: int = 100) -> dict[str, bytes]:
    """Coarse label, fine label, pixels; the coarse label is never the fine one."""
    members = {"cifar-100-binary/fine_label_names.txt": b"apple\n"}
    for seed, (name, n) in enumerate((("train", n_train), ("test", n_test))):
        fine = classes(n, 100)
        table = np.concatenate([fine[:, None] + 100, fine[:, None], cifar_rows(seed, n)], axis=1)
        members[f"cifar-100-binary/{name}.bin"] = table.tobytes()
    return members


def python2_pickle(value: object) -> bytes:
    """What Python 2 and its NumPy would have pickled: str as bytes, and NumPy's old module name."""

    def save_string(pickler, obj):
        raw = obj if isinstance(obj, bytes) else obj.encode("ascii")
        size = bytes([len(raw)]) if len(raw) < 256 else struct.pack("<i", len(raw))
        pickler.write((b"U" if len(raw) < 256 else b"T") + size + raw)
        pickler.memoize(obj)

    file = io.BytesIO()
    pickler = pickle._Pickler(file, protocol=2)
    pickler.dispatch = pickle._Pickler.dispatch | {bytes: save_string, str: save_string}
    pickler.dump(value)
    return file.getvalue().replace(b"numpy._core.", b"numpy.core.")


def cifar100_python_members(n_train: int = 200, n_test: int = 100) -> dict[str, bytes]:
    return {
        f"cifar-100-python/{name}": python2_pickle(
            {
                "filenames": ["a.png"] * n,
                "fine_labels": classes(n, 100).tolist(),
                "coarse_labels": [0] * n,
                "data": cifar_rows(seed, n),
            }
        )
        for seed, (name, n) in enumerate((("train", n_train), ("test", n_test)))
    }


def mat_bytes(images: np.ndarray, labels: np.ndarray, compress: bool = True) -> bytes:
    """SVHN's layout: X [H, W, D, N] and y [N, 1]."""
    file = io.BytesIO()
    table = {"X": images.transpose(1, 2, 3, 0), "y": labels[:, None]}
    savemat(file, table, do_compression=compress)
    return file.getvalue()


def svhn_files(n_train: int = 20, n_test: int = 10, compress: bool = True) -> dict[str, bytes]:
    return {
        f"{name}_32x32.mat": mat_bytes(pixels(seed, n, 32, 32, 3), 1 + classes(n), compress)
        for seed, (name, n) in enumerate((("train", n_train), ("test", n_test)))
    }


BROKEN = ("notMNIST_small/A/RGVtb2NyYXRpY2FCb2xk.png", "notMNIST_small/F/Q3Jvc3NvdmVy.png")


def notmnist_members(n: int = 60) -> dict[str, bytes]:
    """`n` letters, each there twice, under another name of its class; and two broken PNGs."""
    members = {"notMNIST_small/.DS_Store": b"Mac", BROKEN[0]: b"", BROKEN[1]: b"not a PNG"}
    for index in range(n):
        raw = encode_png(pixels(index, 28, 28, 1))
        letter = "ABCDEFGHIJ"[index % 10]
        members[f"notMNIST_small/{letter}/{index:03}.png"] = raw
        members[f"notMNIST_small/{letter}/z{index:03}.png"] = raw
    return members


def jpeg_bytes(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG")
    return file.getvalue()


WNIDS = ("n03", "n01", "n02")  # the order of wnids.txt is not that of the names


TINY = "tiny-imagenet-200"


def tiny_imagenet_members() -> dict[str, bytes]:
    """Three classes of two training images, four val images; one of each is grey."""
    members = {f"{TINY}/wnids.txt": "\n".join(WNIDS).encode() + b"\n"}
    for row, wnid in enumerate(WNIDS):
        for column in range(2):
            grey = (row, column) == (2, 1)
            image = pixels(2 * row + column, 64, 64, *([] if grey else [3]))
            members[f"{TINY}/train/{wnid}/images/{wnid}_{column}.JPEG"] = jpeg_bytes(image)
        members[f"{TINY}/train/{wnid}/{wnid}_boxes.txt"] = b"n_0.JPEG\t0\t0\t63\t63\n"
    lines = []
    for index, wnid in enumerate(("n02", "n03", "n01", "n02")):
        image = pixels(10 + index, 64, 64, *([] if index == 1 else [3]))
        members[f"{TINY}/val/images/val_{index}.JPEG"] = jpeg_bytes(image)
        lines.append(f"val_{index}.JPEG\t{wnid}\t0\t0\t63\t63\n")
    # Not in the order of the names: the order of the annotations is the publisher's.
    members[f"{TINY}/val/val_annotations.txt"] = "".join(lines[::-1]).encode()
    members[f"{TINY}/test/images/test_0.JPEG"] = jpeg_bytes(pixels(9, 64, 64, 3))
    return members


def put(folder: Path, files: dict[str, bytes]) -> dict[str, Path]:
    """Write `files` into `folder`; returns the paths as a reader wants them."""
    for name, raw in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(raw)
    return {name: folder / name for name in files}


def one_line(caught: pytest.ExceptionInfo[UncleError]) -> str:
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


def sha256(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below `folder`, with what it holds."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def one_bit_flipped(raw: bytes, where: float = 0.5) -> bytes:
    copy = bytearray(raw)
    copy[int(where * len(copy))] ^= 0x10
    return bytes(copy)


class Server(http.server.ThreadingHTTPServer):
    """Hands out `files` on 127.0.0.1, and remembers each request's Range."""

    def __init__(self, files: dict[str, bytes], ranges: bool = True, break_after: int = -1):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.ranges, self.break_after = files, ranges, break_after
        self.asked: list[str | None] = []
        self.sent = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self):
        server, asked = self.server, self.headers["Range"]
        server.asked.append(asked)
        raw = server.files.get(self.path[1:])
        if raw is None:
            return self.send_error(404)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        start *= server.ranges
        if start and start >= len(raw):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(raw) - start))
        self.end_headers()
        body = raw[start:] if server.break_after < 0 else raw[start : start + server.break_after]
        server.sent += len(body)
        self.wfile.write(body)
        return None

    def log_message(self, *_):
        pass


@contextmanager
def serving(files: dict[str, bytes], **options):
    with Server(files, **options) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def published(source: Source, files: dict[str, bytes], url: str = "http://127.0.0.1:9/") -> Source:
    """`source`, were `files` what its publisher hands out."""
    archives, reader = source.variants[0]
    archives = tuple(
        dataclasses.replace(
            archive,
            url=url + archive.name,
            size=len(files[archive.name]),
            checksum=f"sha256:{sha256(files[archive.name])}",
            contents=(),
        )
        for archive in archives
    )
    return dataclasses.replace(source, variants=((archives, reader),))


FILES = mnist_files(30, 20)


MNIST = published(sources.MNIST, FILES)


def options(folder: Path, *accept: str, download: bool = False) -> Options:
    return Options(folder, tuple(accept), download)


def made(source: Source, per_class: int = 3, verified: str = "publisher") -> Prepared:
    """`source` as if prepared: each image holds its label in its first pixel."""
    splits, told = {}, {}
    for split, n in (("train", per_class * source.n_classes), ("test", source.n_classes)):
        labels = (np.arange(n) * 7 % source.n_classes).astype(np.int32)
        images = pixels(n, n, *source.image_shape)
        images[:, 0, 0, 0] = labels
        splits[split] = Data(images, labels)
        told[split] = {"images": n, "per_class": [n // source.n_classes], "sha256": "0"}
    told |= {"source": source.name, "verified": verified, "archives": {"x": "md5:1"}}
    told |= {"image_shape": list(source.image_shape), "skipped": []}
    return Prepared(source, splits, told)
