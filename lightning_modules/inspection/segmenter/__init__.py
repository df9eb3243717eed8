"""The grid-cell segmenter: its network, its LightningModule, and detections as regions of cells."""
