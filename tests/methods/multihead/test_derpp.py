import dataclasses

import jax
import numpy as np
import pytest
from conftest import SPEC, TINY, Heads, blobs

from uncle_jax.core.status import describe
from uncle_jax.errors import UncleError
from uncle_jax.methods.multihead.derpp import derpp, on_derpp
from uncle_jax.methods.multihead.network import Model
from uncle_jax.methods.multihead.replay import Derpp
from uncle_jax.methods.protocol import Past
from uncle_jax.tasks import only_classes

SETTINGS = Derpp(buffer_per_task=20, w_mse=0.3, w_ce=0.7)


@pytest.fixture(scope="module")
def method():
    return derpp(SPEC, 4, TINY, Heads(), SETTINGS)


@pytest.fixture(scope="module")
def learned(method):
    state = method.init(jax.random.key(0))
    for task in (0, 1):
        state = method.learn(state, task, blobs(2 * task))
    return state


def test_unlearning_removes_the_task_from_the_buffer_and_nothing_else(method, learned):
    after = method.unlearn(learned, 0)
    assert method.reads == "none"
    jax.tree.map(np.testing.assert_array_equal, after.params, learned.params)
    assert after.buffer.count.tolist() == [0, 20, 0, 0]
    assert not np.any(after.buffer.images[0])
    assert describe(after) == {"learned": [1], "unlearned": [0]}
    assert describe(learned) == {"learned": [0, 1], "unlearned": []}
    with pytest.raises(UncleError, match="already learned"):
        method.learn(after, 1, blobs(2))
    again = method.learn(after, 0, blobs(0))
    assert describe(again)["learned"] == [0, 1]


def test_an_algorithm_sees_what_it_declares(learned):
    seen = []

    def make(net, settings):
        def unlearn(model, request, key, on_step):
            seen.append(request)
            return Model(model.params, model.stats)

        return unlearn

    def unlearn(reads, source="full", past=None):
        settings = Derpp(buffer_per_task=20, forget_source=source)
        method = on_derpp("spy", make, Derpp(), reads, "Spies.")(SPEC, 4, TINY, Heads(), settings)
        method.unlearn(learned, 0, past)
        return method.reads, seen[-1]

    forget = Past(forget=blobs(0))
    assert unlearn("none")[1][2:4] == (None, None)
    reads, request = unlearn("forget", past=forget)
    assert (reads, len(request.forget.labels), request.retain) == ("forget", 48, None)
    _, request = unlearn("forget+retain", past=forget)
    assert (len(request.forget.labels), set(request.retain.tasks.tolist())) == (48, {1})
    reads, request = unlearn("forget+retain", "buffer")
    assert (reads, len(request.forget.labels), len(request.retain.labels)) == ("buffer", 20, 20)
    _, request = unlearn("all retained data", past=Past(retained={1: blobs(2)}))
    assert (request.forget, len(request.retain.labels)) == (None, 48)
    assert (request.task, request.retained) == (0, (1,))
    for reads in ("forget", "all retained data"):
        with pytest.raises(UncleError, match="data to unlearn task 0"):
            unlearn(reads)


def test_an_algorithm_that_forgets_rows_is_handed_a_classs(learned):
    seen = []

    def make(net, settings):
        def unlearn(model, request, key, on_step):
            seen.append(request)
            return model

        return unlearn

    def unlearn(source, past=None):
        settings = Derpp(buffer_per_task=20, forget_source=source)
        own = dataclasses.replace(TINY, class_unlearning="own")
        make_ = on_derpp("spy", make, Derpp(), "forget+retain", "Spies.", by_class=True)
        method = make_(SPEC, 4, own, Heads(), settings)
        return method.unlearn_classes(learned, 0, [2], *([] if past is None else [past]))

    gone = only_classes(blobs(0), [2])
    labels = np.asarray(learned.buffer.labels[0, :20])
    for source, past, count in (
        ("full", Past(gone), len(gone.labels)),
        ("buffer", None, int(np.sum(labels == 2))),
    ):
        after = unlearn(source, past)
        request = seen[-1]
        assert (request.task, request.retained, request.classes) == (0, (0, 1), (2,))
        assert np.asarray(request.forget.labels).tolist() == [2] * count
        told = zip(request.retain.tasks.tolist(), request.retain.labels.tolist(), strict=True)
        assert (0, 2) not in {*told}
        assert len(request.retain.labels) == 40 - int(np.sum(labels == 2))
        assert after.buffer.count.tolist() == [20 - int(np.sum(labels == 2)), 20, 0, 0]
        assert describe(after) == {"learned": [0, 1], "unlearned": []}
        assert int(after.n_unlearned) == 1
    with pytest.raises(UncleError, match="unknown class 3"):
        on_derpp("spy", make, Derpp(), "none", "Spies.", by_class=True)(
            SPEC, 4, dataclasses.replace(TINY, class_unlearning="own"), Heads()
        ).unlearn_classes(learned, 0, [3])
