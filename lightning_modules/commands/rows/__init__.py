"""Tables whose rows are trainings: their results, the processes that work on them, means over seeds."""
