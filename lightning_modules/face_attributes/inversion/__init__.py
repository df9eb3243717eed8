"""From wanted activations to a picture: the search, its spaces, its views and its charges."""
