"""Data sets: where pictures come from, and how two groups of them are mixed."""
