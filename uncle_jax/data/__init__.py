"""Benchmarks: where a task's labelled images come from."""
