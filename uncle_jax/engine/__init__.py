"""Requests answered: a sequence, one on a store, resumed, timed, tuned."""
