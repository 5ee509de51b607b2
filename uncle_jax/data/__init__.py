"""Benchmarks: where a task's labelled images come from. Nothing here knows a method or a network.

publishers/ makes the publishers' archives ready; permuted.py, split.py and five_tasks.py make the
paper's benchmarks of them, custom.py and tfds_sets.py one's own; load.py picks by name.
Own images are decoded by pictures.py; own arrays are held to the rules of understood.py.
"""
