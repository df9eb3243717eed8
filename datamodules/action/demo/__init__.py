"""Generated people who do things in rooms, as clips and as long videos."""
