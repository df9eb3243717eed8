"""The feedback store: detections and answers in one SQLite file, and the order of the questions."""
