"""What is told before anything heavy is imported: the run that is meant, options and files that are not there."""
