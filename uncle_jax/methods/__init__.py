"""Methods: what learns and unlearns, each a function that makes a `Method` (protocol.py).

hypernetwork/ holds those whose weights are generated, multihead/ those on one network with a head
per task; registry.py finds all of them by name. No files and no commands here.
"""
