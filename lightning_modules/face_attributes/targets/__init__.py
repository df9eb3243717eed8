"""From wanted attributes to wanted activations: mixtures, regressions, exact weights, completion."""
