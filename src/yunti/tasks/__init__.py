"""What is asked of a dataset and how an answer is scored: one file a task."""
