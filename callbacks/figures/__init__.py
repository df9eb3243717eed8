"""What callbacks of all domains share: fonts, sheets, pages, a test gathered, predictions written, pictures sent."""
