"""What a training takes of a machine: time on each of its devices, and memory."""
