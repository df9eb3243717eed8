"""Lists of labelled faces: CelebA, PubFig, LFW, csv; boxes, people and splits."""
