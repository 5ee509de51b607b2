"""The publishers' archives: fetched, checked, read, and prepared once."""
