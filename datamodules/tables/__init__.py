"""Reading and writing tables and other texts, whatever program wrote them, with errors that name file and line."""
