"""Who is asked: a network of transformers, a server, or a script."""
