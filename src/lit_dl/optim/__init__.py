"""Optimizers: twins of torch's to be read, and parameter groups."""
