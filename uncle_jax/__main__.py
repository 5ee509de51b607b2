# PYTHON_ARGCOMPLETE_OK
"""`python -m uncle_jax` is `uncle`."""

import sys

from uncle_jax.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
