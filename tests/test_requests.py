import pytest

from uncle_jax.errors import UncleError
from uncle_jax.requests import TABLE_4, Request, parse, table_4, validate


def test_parse_reads_spaces_commas_and_arrows():
    expected = (Request("L", 0), Request("L", 12), Request("U", 0))
    for text in ("L0 L12 U0", "l0,L12, u0", "L0 -> L12 → U0"):
        assert parse(text) == expected


@pytest.mark.parametrize("text", ["", "  ", "L", "X3", "L0 3", "L-1", "L0;U0", "L0U0"])
def test_malformed_requests_are_named(text):
    with pytest.raises(UncleError, match="allowed"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("L4", "unknown task 4"),
        ("U0", "task 0 is not learned"),
        ("L0 U0 U0", "request 2 .U0.: task 0 is not learned"),
        ("L0 L0", "already learned"),
    ],
)
def test_impossible_sequences_are_refused(text, message):
    with pytest.raises(UncleError, match=message):
        validate(parse(text), n_tasks=4)


def test_a_task_may_be_learned_again_after_it_was_unlearned():
    assert validate(parse("L0 U0 L0 U0"), n_tasks=1) is None


def test_table_4_has_the_papers_lengths_and_can_be_answered():
    lengths = {"five-tasks": 7, "permuted-mnist": 15, "cifar100": 15, "tinyimagenet": 30}
    tasks = {"five-tasks": 5, "permuted-mnist": 10, "cifar100": 10, "tinyimagenet": 20}
    for dataset, length in lengths.items():
        for seq in (1, 2, 3):
            requests = table_4(dataset, seq)
            assert len(requests) == length
            validate(requests, tasks[dataset])
    assert TABLE_4["permuted-digits"] == TABLE_4["permuted-mnist"]
    assert str(table_4("five-tasks", 2)[5]) == "U3"


def test_unknown_sequences_are_refused():
    with pytest.raises(UncleError, match="sequence"):
        table_4("cifar100", 4)
    with pytest.raises(UncleError, match="did you mean 'cifar100'"):
        table_4("cifar10", 1)
