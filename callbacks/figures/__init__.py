"""What pictures of all domains share: fonts, sheets, results gathered over a test, saving and sending."""
