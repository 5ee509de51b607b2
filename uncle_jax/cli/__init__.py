"""The commands, one module each; arguments only, no jax before they are read."""
