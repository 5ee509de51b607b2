"""Learners whose weights a hypernetwork generates, and what unlearns on them."""
