"""Encoders: networks that turn pictures into rows of numbers, run by Keras or ONNX Runtime."""
