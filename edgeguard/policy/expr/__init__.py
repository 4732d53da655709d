"""The expression language: a subset of CEL, from text to a typed tree to one compiled function.

Stages: `tokens` -> `parser` -> `tree` -> `checker` -> `codegen`; `interpreter` is the slow reference.
"""
