"""What processes of tests/runs/test_hosts.py are: `uncle run` with a network that compiles soon.

hosting.py ARGUMENTS of uncle run; with $DIE_IN=2-L1 it kills itself when that request's first save
is there.
"""

import os
import signal
import sys

from conftest import HYPER, TINY, Small

from uncle_jax import presets
from uncle_jax.cli import run
from uncle_jax.core import backbones
from uncle_jax.store.inflight import Saves


def main() -> int:
    backbones.from_config = lambda config, n_classes: Small(n_classes)
    presets.PRESETS["permuted-digits"]["laptop"] = presets.Preset(TINY, "", HYPER)
    if dying := os.environ.get("DIE_IN"):
        saved = Saves.after_epoch

        def after_epoch(self, done, carry):
            saved(self, done, carry)
            if self._identity["request"]["id"] == dying:
                os.kill(os.getpid(), signal.SIGKILL)

        Saves.after_epoch = after_epoch
    return run.main(sys.argv[1:])


if __name__ == "__main__":
    raise SystemExit(main())
