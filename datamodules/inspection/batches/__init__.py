"""From an image of a part to a training batch: decoding, crops, two domains, augmentation."""
