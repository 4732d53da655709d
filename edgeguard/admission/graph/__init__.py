"""The inside of an ONNX file as small values: parsed from its bytes, held to limits, sized. Pure: no I/O, no engine.

Nothing here may be handed to a runtime: what runs are the verified bytes themselves.
"""
