"""Draws finished numbers on given Axes; computes nothing."""
