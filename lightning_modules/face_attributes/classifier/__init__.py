"""The classifier in heads: backbones, layers, losses, freezing, and its LightningModule."""
