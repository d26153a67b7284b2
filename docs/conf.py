"""The manual: Markdown that reads well on its own, built into pages by Sphinx."""

from importlib.metadata import version as version_of

project = "Penstock"
author = "The Penstock authors"
release = version = version_of("penstock")
extensions = ["myst_parser"]
html_theme = "furo"
html_title = f"Penstock {release}"
#: So that a link to a heading of another page is checked too.
myst_heading_anchors = 3
nitpicky = True
