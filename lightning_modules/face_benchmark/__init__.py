"""FaceXBench: multimodal language models questioned about faces."""
