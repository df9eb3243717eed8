"""Finding pictures and reading them upright as RGB, whatever their files hold."""
