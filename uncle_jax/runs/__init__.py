"""A run and what it leaves: work directories, environment, progress."""
