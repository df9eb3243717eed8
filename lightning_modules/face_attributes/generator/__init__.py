"""The face generator: statistics, targets and inversion joined, and its LightningModule."""
