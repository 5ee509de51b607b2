"""What makes two results one row."""

import pytest

from uncle_jax.report.origin import command_of, data_key, data_of, difference, same_setting

SETS = {"cifar100": {"archives": {"a.tar": "1"}, "verified": "no", "train": {"sha256": "5"}}}
TOLD = {
    "dataset": "cifar100",
    "requests": "L0 U0",
    "method": "own.py:mine",
    "config": {"lr": 0.1},
    "data": {"class_order": [1, 0], "train_images": None, **SETS},
    "code": {"file": "own.py", "sha256": "a"},
    "fingerprint": "x",
}


def test_content_is_the_same_whatever_archive_and_order_it_came_in():
    other = {"archives": {"b.zip": "2"}, "verified": "constants", "train": {"sha256": "5"}}
    data = {"class_order": [0, 1], "train_images": None, "cifar100": other}
    again = TOLD | {"data": data}
    assert (
        data_of(again)
        == data_of(TOLD)
        == {
            "train_images": None,
            "cifar100": {"train": {"sha256": "5"}},
        }
    )
    assert data_key(again) == data_key(TOLD)
    assert same_setting(TOLD, again)
    assert same_setting(TOLD, TOLD | {"device": "gpu", "seed": 4, "fingerprint": "y"})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"requests": "L0"}, "requests L0, now L0 U0"),
        ({"method": "uncle"}, "method uncle, now own.py:mine"),
        ({"config": {"lr": 0.2}}, "lr 0.2, now 0.1"),
        ({"config": {"gone": 1}}, "of an earlier version, whose config has gone"),
        ({"settings": {"alpha": 2}}, "alpha 2, now None"),
        ({"data": {"train_images": 5, **SETS}}, "data: train_images 5, now None"),
        ({"data": {"train_images": None}}, "data: cifar100 None, now {'train'"),
        ({"code": {"file": "own.py", "sha256": "b"}}, "the code of own.py:mine is another now"),
        ({"fingerprint": "y"}, "fingerprint y, now x"),
    ],
)
def test_the_first_difference_is_named(change, says):
    assert difference(TOLD | change, TOLD).startswith(says)
    assert same_setting(TOLD | change, TOLD) == ("fingerprint" in change)


def test_long_values_are_cut():
    other = TOLD | {"requests": "L0 " * 99}
    assert len(difference(other, TOLD)) < 100


def test_the_command_repeats_the_run():
    told = {"dataset": "cifar100", "preset": "laptop", "method": "ssd", "source": "tuned"}
    told |= {"requests": "L0 L1 U0", "changes": {"ssd.alpha": 30.0, "norm_stats": "batch"}}
    words = "uncle run --dataset cifar100 --preset laptop --method ssd --settings tuned"
    words += " --set ssd.alpha=30 --set norm_stats=batch --requests 'L0 L1 U0' --seeds 0 2"
    assert command_of(told, [0, 2]) == words
    older = {"dataset": "permuted-digits", "method": "uncle", "requests": "L0"}
    assert command_of(older, [1]) == (
        "uncle run --dataset permuted-digits --method uncle --requests L0 --seeds 1"
    )
