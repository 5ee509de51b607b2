"""Benchmarks: where a task's labelled images come from.

archives.py finds, downloads and checks a publisher's file; readers.py knows its format; sources.py
lists them; builders.py and prepared.py make one ready, once; permuted.py, split.py and
five_tasks.py make the paper's benchmarks of them, own.py one's own; load.py picks by name.
"""
