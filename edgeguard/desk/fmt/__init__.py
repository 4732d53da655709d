"""The formatter of policy files: one layout for all, computed from the text alone.

Never changes what a policy says and never loses a comment; knows nothing of signatures, models or devices.
"""

from __future__ import annotations

from edgeguard.desk.fmt.files import Formatted, format_file, replace_text
from edgeguard.desk.fmt.formatter import format_policy

__all__ = ["Formatted", "format_file", "format_policy", "replace_text"]
