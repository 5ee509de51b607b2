"""Finished runs as one page that needs no network (`uncle report`)."""
