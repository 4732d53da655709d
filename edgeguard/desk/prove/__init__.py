"""Proofs about a policy: built-in theorems and the policy's own invariants.

Every answer is proved, refuted by a run that was replayed through the real runtime, or unknown; never silently proved.
"""
