"""What every kind of work on faces needs: the schema of attributes, lists of faces, drawn faces."""
