"""Choose unlearning settings on validation data: `uncle tune`, from a clone."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing

from uncle_jax.cli.tune import main

if __name__ == "__main__":
    sys.exit(main())
