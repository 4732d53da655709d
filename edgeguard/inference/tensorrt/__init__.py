"""TensorRT and TensorRT-RTX: plans from verified bytes, and plans from verified ONNX.

Nothing of NVIDIA's is imported until a backend is opened or a plan is built, and no device is touched before a probe.
"""
