import jax

from uncle_jax.engine.clock import CompileClock


def test_the_compile_clock_counts_nested_spans_once():
    clock = CompileClock()
    with clock:
        outer = jax.jit(lambda x: jax.jit(lambda y: y * 3)(x) + 1)
        import time

        start = time.perf_counter()
        outer(jax.numpy.ones(3)).block_until_ready()
        elapsed = time.perf_counter() - start
    assert 0 < clock.seconds <= elapsed * 1.01
