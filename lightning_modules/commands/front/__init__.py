"""The Lightning command line with its traps closed: parser, links, loggers, run folder, diagnosis, help."""
