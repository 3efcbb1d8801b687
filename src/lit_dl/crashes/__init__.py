"""What is kept of a step that diverged, how that step is repeated, and what is said of it."""
