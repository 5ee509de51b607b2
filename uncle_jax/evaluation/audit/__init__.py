"""Attacks and checks on what should be forgotten."""
