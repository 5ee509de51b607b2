"""Every program of UnCLe's, exported for a GPU at the paper's size; nothing is computed."""

import dataclasses
from pathlib import Path

from conftest import command_of

from uncle_jax.presets import preset

ROOT = Path(__file__).parents[2]
STEPS = ("forward", "fit", "backward", "step_learning", "align", "align_elsewhere")
REST = ("init", "theta", "calibrate", "logits", "hold", "start_unlearning", "scan")


def test_every_program_exports_for_cuda_at_the_papers_size():
    script = command_of(ROOT / "benchmarks" / "exported.py")
    chosen = preset("tinyimagenet", "paper")
    config = dataclasses.replace(chosen.config, backbone="resnet50")
    found = script.exported(config, chosen.uncle, script.SPEC, "cuda")
    assert {one.name for one in found} >= {*STEPS, "step_unlearning", *REST}
    for one in found:
        assert one.platforms == ("cuda",)
        assert one.custom_calls == (), one.name
        assert not one.float64, one.name
        assert one.kilobytes < 1000, one.name  # no data in it
