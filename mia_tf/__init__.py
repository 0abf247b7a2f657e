"""Measures what a trained model remembers of its training data."""

__version__ = "0.1.0"
