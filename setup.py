"""Installs mia_tf; all its metadata are in pyproject.toml. `pip install -e .[test]` for development."""

from setuptools import setup

setup()
