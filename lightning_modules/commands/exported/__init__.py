"""``run-exported``: exported networks on files, by onnxruntime and NumPy, without torch."""
