"""Conditions as formulas over the real numbers, and a solver that answers within a time limit.

Needs the extra `verify`. Reals are not doubles: whoever shows a witness replays it through the real runtime first.
"""
