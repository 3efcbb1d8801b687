"""Many runs: every combination, or a search."""
