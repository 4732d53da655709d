"""The tamper-evident decision log: every verdict, its causes and digests, chained by hash.

Written on the frame path (`DecisionLog`), read and checked elsewhere (`read_log`, `verify_log`). No keys live here:
what the file alone cannot show (a cut tail, a chain rewritten from end to end) needs the head hash kept outside it.
"""

from __future__ import annotations

from edgeguard.log.reader import Break, Entry, LogReport, Run, read_log, verify_log
from edgeguard.log.writer import DecisionLog

__all__ = ["Break", "DecisionLog", "Entry", "LogReport", "Run", "read_log", "verify_log"]
