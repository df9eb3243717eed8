"""Questions about pictures of faces, each with options of which one is right."""
