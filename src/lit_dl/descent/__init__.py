"""Optimisation as such: a point goes down a surface. Surfaces, trajectories and figures import no torch."""
