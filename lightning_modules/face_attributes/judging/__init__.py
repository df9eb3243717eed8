"""Whether judges see in a made face what was asked for, and whether they are fit to judge."""
