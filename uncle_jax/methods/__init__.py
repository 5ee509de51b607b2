"""Methods: what learns and unlearns. One file per method; all have the shape of `Method`.

registry.py finds them by name.
"""
