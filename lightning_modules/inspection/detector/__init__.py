"""The anchor detector: its network, its LightningModule, anchors, targets, losses, and detections as boxes."""
