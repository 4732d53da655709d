"""The desk: what an engineer does with a policy before it drives anything: trials, tests, proofs, comparisons, pages.

Nothing here runs on a device's frame path, and nothing on the frame path imports it.
"""
