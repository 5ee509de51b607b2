"""The data sets that the benchmarks are made of: who hands them out, and as what.

Checksums are TFDS's, torchvision's, Keras's or Avalanche's for the same file; those of contents
were computed from the same images.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from uncle_jax.data.publishers import formats as readers
from uncle_jax.data.publishers.archives import Archive
from uncle_jax.errors import allowed


@dataclass(frozen=True)
class Source:
    """One data set: its archives, in one variant or another, and the images inside."""

    name: str
    variants: tuple[tuple[tuple[Archive, ...], readers.Reader], ...]  # the first is downloaded
    image_shape: tuple[int, int, int]  # H, W, D
    n_classes: int
    counts: tuple[int, int]  # train and test images that the publisher's archive holds
    mean: tuple[float, ...]  # per channel, as the authors normalise
    std: tuple[float, ...]
    also_in: tuple[str, ...] = ()  # folders below the data folder, where others put its archives


def _idx(url: str, rows: str) -> tuple[Archive, ...]:
    """The quartet's archives from lines of size, checksum and, where known, content's checksum."""
    archives = []
    for name, row in zip(readers.MNIST_FILES, rows.strip().splitlines(), strict=True):
        size, checksum, *content = row.split()
        inside = tuple(("", f"sha256:{digest}") for digest in content)
        archives.append(Archive(name, url + name, int(size), f"sha256:{checksum}", inside))
    return tuple(archives)


def _extracted(url: str, rows: str) -> tuple[Archive, ...]:
    """The members of the archive at `url`, extracted, from lines of name, size and MD5."""
    lines = (row.split() for row in rows.strip().splitlines())
    return tuple(Archive(name, url, int(size), f"md5:{md5}") for name, size, md5 in lines)


_GREY = ((0.1307,), (0.3081,))
_HALF = ((0.5,), (0.5,))
_CIFAR = ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762))

MNIST = Source(
    "mnist",
    (
        (
            _idx(
                "https://storage.googleapis.com/cvdf-datasets/mnist/",
                """
9912422 440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609 ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db
28881 3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c 65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5
1648877 8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6 0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7
4542 f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6 ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2
""",  # noqa: E501
            ),
            readers.read_mnist,
        ),
        (
            (
                Archive(
                    "mnist.npz",
                    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
                    11_490_434,
                    "sha256:731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
                ),
            ),
            readers.read_mnist_npz,
        ),
    ),
    (28, 28, 1),
    10,
    (60_000, 10_000),
    *_GREY,
    also_in=("MNIST/raw",),
)

FASHION_MNIST = Source(
    "fashion_mnist",
    (
        (
            _idx(
                "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
                """
26421880 3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84 c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888
29515 a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845 bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9
4422102 346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073 5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b
5148 67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5 0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34
""",  # noqa: E501
            ),
            readers.read_mnist,
        ),
    ),
    (28, 28, 1),
    10,
    (60_000, 10_000),
    *_HALF,
    also_in=("FashionMNIST/raw",),
)

KMNIST = Source(
    "kmnist",
    (
        (
            _idx(
                "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
                """
18165135 51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4
29497 e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17
3041136 edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5
5120 20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c
""",
            ),
            readers.read_mnist,
        ),
    ),
    (28, 28, 1),
    10,
    (60_000, 10_000),
    *_GREY,
    also_in=("KMNIST/raw",),
)

NOTMNIST = Source(
    "notmnist",
    (
        (
            (
                Archive(
                    "notMNIST_small.tar.gz",
                    "http://yaroslavvb.com/upload/notMNIST/notMNIST_small.tar.gz",
                    8_458_043,
                    "md5:c9890a473a9769fda4bdf314aaf500dd",
                ),
            ),
            readers.read_notmnist,
        ),
    ),
    (28, 28, 1),
    10,
    (16_895, 1_829),
    *_HALF,
)

SVHN = Source(
    "svhn",
    (
        (
            (
                Archive(
                    "train_32x32.mat",
                    "http://ufldl.stanford.edu/housenumbers/train_32x32.mat",
                    182_040_794,
                    "sha256:435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
                ),
                Archive(
                    "test_32x32.mat",
                    "http://ufldl.stanford.edu/housenumbers/test_32x32.mat",
                    64_275_384,
                    "sha256:cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
                ),
            ),
            readers.read_svhn,
        ),
    ),
    (32, 32, 3),
    10,
    (73_257, 26_032),
    (0.4377, 0.4438, 0.4728),
    (0.1980, 0.2010, 0.1970),
)

CIFAR10 = Source(
    "cifar10",
    (
        (
            (
                Archive(
                    "cifar-10-binary.tar.gz",
                    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
                    170_052_171,
                    "sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                ),
            ),
            readers.read_cifar10_binary,
        ),
        (
            (
                Archive(
                    "cifar-10-python.tar.gz",
                    "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
                    170_498_071,
                    "sha256:6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
                ),
            ),
            readers.read_cifar10_python,
        ),
        (
            _extracted(
                "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
                """
cifar-10-batches-py/data_batch_1 31035704 c99cafc152244af753f735de768cd75f
cifar-10-batches-py/data_batch_2 31035320 d4bba439e000b95fd0a9bffe97cbabec
cifar-10-batches-py/data_batch_3 31035999 54ebc095f3ab1f0389bbae665268c751
cifar-10-batches-py/data_batch_4 31035696 634d18415352ddfa80567beed471001a
cifar-10-batches-py/data_batch_5 31035623 482c414d41f54cd18b22e5b47cb7c3cb
cifar-10-batches-py/test_batch 31035526 40351d587109b95175f43aff81a1287e
""",
            ),
            readers.read_cifar10_python,
        ),
    ),
    (32, 32, 3),
    10,
    (50_000, 10_000),
    (0.4914, 0.4822, 0.4465),
    (0.2470, 0.2435, 0.2616),
)

CIFAR100 = Source(
    "cifar100",
    (
        (
            (
                Archive(
                    "cifar-100-binary.tar.gz",
                    "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
                    168_513_733,
                    "sha256:58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
                    (
                        (
                            "cifar-100-binary/train.bin",
                            "md5:6172c7755cfe09b2fe270c85cebc1b15",
                        ),
                        (
                            "cifar-100-binary/test.bin",
                            "md5:4499cfba6c016c1be1438163640a0898",
                        ),
                    ),
                ),
            ),
            readers.read_cifar100_binary,
        ),
        (
            (
                Archive(
                    "cifar-100-python.tar.gz",
                    "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
                    169_001_437,
                    "sha256:85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
                ),
            ),
            readers.read_cifar100_python,
        ),
        (
            _extracted(
                "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
                """
cifar-100-binary/train.bin 153700000 6172c7755cfe09b2fe270c85cebc1b15
cifar-100-binary/test.bin 30740000 4499cfba6c016c1be1438163640a0898
""",
            ),
            readers.read_cifar100_binary,
        ),
        (
            _extracted(
                "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
                """
cifar-100-python/train 155249918 16019d7e3df5f24257cddd939b257f8d
cifar-100-python/test 31049907 f0ef6b0ae62326f3e7ffdfab6717acfc
""",
            ),
            readers.read_cifar100_python,
        ),
    ),
    (32, 32, 3),
    100,
    (50_000, 10_000),
    *_CIFAR,
)

TINY_IMAGENET = Source(
    "tiny_imagenet",
    (
        (
            (
                Archive(
                    "tiny-imagenet-200.zip",
                    "http://cs231n.stanford.edu/tiny-imagenet-200.zip",
                    248_100_043,
                    "md5:90528d7ca1a48142e341f4ef8d21d0de",
                ),
            ),
            readers.read_tiny_imagenet,
        ),
    ),
    (64, 64, 3),
    200,
    (100_000, 10_000),
    (0.485, 0.456, 0.406),  # ImageNet's, as the authors have it
    (0.229, 0.224, 0.225),
)

SOURCES: Mapping[str, Source] = {
    source.name: source
    for source in (
        MNIST,
        FASHION_MNIST,
        KMNIST,
        NOTMNIST,
        SVHN,
        CIFAR10,
        CIFAR100,
        TINY_IMAGENET,
    )
}


def source(name: str) -> Source:
    """The source called `name`. Raises UncleError."""
    if name not in SOURCES:
        raise allowed("data set", name, SOURCES)
    return SOURCES[name]
