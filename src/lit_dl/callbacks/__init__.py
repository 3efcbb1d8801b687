"""What watches a Trainer: the gradient monitor, pictures, checkpoints, progress."""
