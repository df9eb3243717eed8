"""Face attributes in groups of related ones, and faces generated from attributes by inverting the classifier."""
