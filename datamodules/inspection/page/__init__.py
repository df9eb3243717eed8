"""The page that asks an operator: a small server and one static page, no build step."""
