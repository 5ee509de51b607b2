"""What a run is worth: accuracy, what requests led to, metrics."""
