"""ONNX models: initialisers as byte ranges, signatures, operations."""
