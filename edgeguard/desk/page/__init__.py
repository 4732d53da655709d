"""A policy as a document for people: Markdown for paper, and one HTML page in which the policy runs.

Made from a compiled draft: nothing here looks at signatures, and nothing here may drive anything.
"""

from __future__ import annotations

from edgeguard.desk.page.html import html
from edgeguard.desk.page.markdown import markdown

__all__ = ["html", "markdown"]
