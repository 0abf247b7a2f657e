"""Sphinx's configuration of the manual. `make docs` builds it; a warning is an error."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent), str(Path(__file__).parent)]

import mia_tf  # noqa: E402

project = "mia_tf"
author = "the mia_tf authors"
copyright = "the mia_tf authors, Apache License 2.0"
release = version = mia_tf.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "reference_tables"]
html_theme = "furo"
html_title = f"mia_tf {release}"
default_role = "code"  # `name` in a docstring is code
html_show_sourcelink = False
smartquotes = False  # else --dp would be printed with a dash
exclude_patterns = ["_build"]
myst_heading_anchors = 3
myst_enable_extensions = ["deflist"]
autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_use_ivar = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
