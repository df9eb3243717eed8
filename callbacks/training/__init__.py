"""While a model trains: progress, records, remote numbers, averaged weights, cached features, curves."""
