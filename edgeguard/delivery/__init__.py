"""Delivery: how signed bundles and policies get from a publisher to devices, by The Update Framework (python-tuf).

It says what is newest and for whom, and nothing else: what arrives is admitted like any other file.
Needs the extra `tuf`. No key is trusted here that admission would trust, nor the other way round.
"""
