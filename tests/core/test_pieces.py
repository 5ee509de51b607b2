import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uncle_jax.core.pieces import piece, rehearsal


@piece(static_argnums=0, donate_argnums=1)
def grow(factor, carry, x):
    """Grow."""
    return {"sum": carry["sum"] + factor * x @ x.T}, x.sum()


def start(n=4):
    return {"sum": jnp.ones((n, n))}, jnp.ones((n, 3))


def test_outside_a_rehearsal_a_piece_is_its_jitted_function():
    carry, x = start()
    after, total = grow(2.0, carry, x)
    np.testing.assert_allclose(after["sum"], 7)
    assert float(total) == 12
    assert grow.__doc__ == "Grow."
    with pytest.raises(RuntimeError, match="deleted"):
        carry["sum"].block_until_ready()  # donated


def test_a_rehearsal_counts_and_computes_nothing():
    carry, x = start()
    with rehearsal() as work:
        after, total = grow(2.0, carry, x)
        once = work.flops
        for _ in range(4):
            after, total = grow(2.0, after, x)
    assert not after["sum"].any()
    assert float(total) == 0
    assert after["sum"].shape == (4, 4)
    assert float(carry["sum"].sum()) == 16  # not given away
    products = 2 * 4 * 4 * 3
    assert products <= once <= products + 2 * 16 + 24  # and sums beside them
    assert work.flops == 5 * once
    assert work.accessed > 0


def test_another_shape_or_static_argument_is_another_count():
    with rehearsal() as work:
        grow(2.0, *start(4))
        small = work.flops
        grow(2.0, *start(8))
        assert work.flops > 4 * small
        peak = work.peak
        grow(3.0, *start(8))
        assert work.peak == peak


def test_a_rehearsal_ends_with_its_block_even_by_an_error():
    with pytest.raises(ValueError, match="over"), rehearsal():
        raise ValueError("over")
    assert float(grow(1.0, *start())[1]) == 12


def test_within_a_trace_a_piece_is_traced_along():
    with rehearsal() as work:
        shapes = jax.eval_shape(lambda c, x: grow(1.0, c, x), *start())
    assert shapes[0]["sum"].shape == (4, 4)
    assert work.flops == 0


def test_keys_come_back_as_keys():
    split = piece(static_argnums=1)(lambda key, n: jax.random.split(key, n))
    with rehearsal():
        keys = split(jax.random.key(3), 2)
    assert jnp.issubdtype(keys.dtype, jax.dtypes.prng_key)
    assert jax.random.normal(keys[1], (2,)).shape == (2,)


def test_the_peak_is_what_is_alive_at_once():
    n, size = 256, 256 * 256 * 4

    def chain(x):  # x, one product and the next: never more than three
        for _ in range(6):
            x = x @ x
        return x

    with rehearsal() as work:
        piece()(chain)(jnp.ones((n, n)))
    assert work.peak == 3 * size
    with rehearsal() as work:  # what lies between in an inner program counts
        piece()(lambda x: jax.jit(chain)(x))(jnp.ones((n, n)))
    assert work.peak == 3 * size
    with rehearsal() as work:  # backwards each is needed again
        piece()(jax.grad(lambda x: chain(x).sum()))(jnp.ones((n, n)))
    assert work.peak >= 7 * size
