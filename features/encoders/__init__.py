"""Networks that turn images into features, run by Keras or ONNX Runtime."""
