"""LightningModules: what a step, a loss and a metric are."""
