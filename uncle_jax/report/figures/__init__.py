"""Figures of finished runs, one function each, from their files alone."""
