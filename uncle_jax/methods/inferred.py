"""Settings whose values are nobody's: the originals are silent, and what stands is inferred here.

Tables mark them. docs/methods.md says of each what it was inferred from; a test holds the two
together. Importing this module imports no jax.
"""

from collections.abc import Mapping

DERPP = ("buffer_per_task", "replay_batch", "norm", "forget_source")
"""Of every method in `registry.ON_DERPP`."""

OWN: Mapping[str, tuple[str, ...]] = {
    "badteacher": ("retain_fraction",),
    "uniclun": ("retain_fraction", "w_forget", "w_retain"),
    "scrub": ("forget_batch", "retain_batch"),
    "ssd": ("against",),
    "jit": ("lr", "sigma", "mode"),
    "gkt": ("student_steps", "generator_lr", "student_lr", "gate"),
    "gkt-hnet": ("student_steps", "generator_lr", "student_lr"),
    "lwsf": ("optimiser", "fisher_images", "norm"),
    "ft": ("epochs", "lr"),
    "jit-hnet": ("lr", "unlearn_clip_norm", "reg"),
}
"""A method's own, and LWSF's optimiser."""
