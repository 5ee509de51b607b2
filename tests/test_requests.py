import pytest

from uncle_jax.errors import UncleError
from uncle_jax.requests import (
    TABLE_4,
    Request,
    Stream,
    from_the_start,
    in_short,
    lacking,
    most_retained,
    parse,
    parse_stream,
    retained,
    stream,
    table_4,
    validate,
)


def test_parse_reads_spaces_commas_and_arrows():
    expected = (Request("L", 0), Request("L", 12), Request("U", 0))
    for text in ("L0 L12 U0", "l0,L12, u0", "L0 -> L12 → U0"):
        assert parse(text) == expected


@pytest.mark.parametrize(
    "text", ["", "  ", "L", "X3", "L0 3", "L-1", "L0;U0", "L0U0", "U0:", "U0-7", "L0:7", "U0:7,8+"]
)
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
        ("L0 U1:2", "request 1 .U1:2.: task 1 is not learned"),
        ("L0 U0:1+5", "unknown class 5 of task 0 .allowed: 0 to 2"),
        ("L0 U0:1 U0:2+1", "class 1 of task 0 is not there any more"),
        ("L0-1 U0:1", "class 1 of task 0 is not there any more"),
        ("L0 U0:1 U0:2 U0:0", "task 0 has no other class left .unlearn it: U0"),
        ("L0-0+1+2", "task 0 has no other class left"),
    ],
)
def test_impossible_sequences_are_refused(text, message):
    with pytest.raises(UncleError, match=message):
        validate(parse(text), 4, lambda task: 3)


def test_a_task_may_be_learned_again_after_it_was_unlearned():
    assert validate(parse("L0 U0 L0 U0"), n_tasks=1) is None


def test_classes_of_a_task_are_asked_for_after_a_colon():
    asked = parse("l0, u0:7+3 L2-5 U2")
    assert asked[1:3] == (Request("C", 0, (3, 7)), Request("L", 2, (5,)))
    assert " ".join(map(str, asked)) == "L0 U0:3+7 L2-5 U2"
    assert parse(" ".join(map(str, asked))) == asked


def test_a_task_that_lacks_classes_is_retained():
    asked = parse("L0 L1-4 U0:7 U0:3 L2 U1 U2:1 U2 L2")
    assert retained(asked) == [0, 2]
    assert lacking(asked) == {0: (3, 7)}  # 1 is gone, and 2 is whole again
    assert lacking(asked[:7]) == {0: (3, 7), 2: (1,)}
    shown = from_the_start(asked)
    assert " ".join(map(str, shown)) == "L0-3+7 L1-4 U0:7 U0:3 L2-1 U1 U2:1 U2 L2"
    assert len(shown) == len(asked)


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


@pytest.mark.parametrize("seed", range(5))
def test_a_stream_can_be_answered_and_is_drawn_by_its_seed(seed):
    drawn = stream(Stream(200, seed=seed), 12)
    validate(drawn, 12)
    assert len(drawn) == 200
    assert drawn == stream(Stream(200, seed=seed), 12) != stream(Stream(200, seed=seed + 9), 12)
    assert len({request.task for request in drawn}) == 12
    assert sum(one.op == "U" for one in drawn) > 60


def test_a_stream_keeps_to_what_it_is_told():
    drawn = stream(Stream(100, unlearn=0.1, retained=3), 8)
    kept = [len(retained(drawn[: i + 1])) for i in range(100)]
    assert max(kept) == 3
    validate(drawn, 8)
    without = stream(Stream(16, unlearn=0.5, relearn=False), 8)
    assert len({r.task for r in without if r.op == "L"}) == sum(r.op == "L" for r in without) == 8
    with pytest.raises(UncleError, match="needs more than 8 tasks: it ended after 16 requests"):
        stream(Stream(17, relearn=False), 8)


def test_a_long_stream_is_told_in_short():
    assert in_short(parse("L0 L1 U0")) == "L0 L1 U0"
    told = in_short(stream(Stream(200), 12))
    assert told.endswith("(200 requests)")
    assert len(told) < 70


def test_a_stream_is_read_as_it_is_said():
    assert parse_stream("20") == Stream(20)
    asked = parse_stream("20, unlearn=0.5,seed=3,relearn=no,retained=4")
    assert asked == Stream(20, 0.5, 3, False, 4)
    for text in ("", "x", "20,unlearn", "20,unlern=1", "20,relearn=maybe", "20,seed=0.5"):
        with pytest.raises(UncleError, match="is not N, or N,unlearn=SHARE"):
            parse_stream(text)
    for wrong in (Stream(0), Stream(3, unlearn=1.5), Stream(3, retained=0)):
        with pytest.raises(UncleError, match="a stream needs"):
            stream(wrong, 4)


@pytest.mark.parametrize(("text", "most"), [("L0", 1), ("L0 L1 U0 L2 U1 U2", 2), ("L0 U0 L0", 1)])
def test_the_most_that_is_retained_at_once(text, most):
    assert most_retained(parse(text)) == most
