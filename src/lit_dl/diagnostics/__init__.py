"""Seeing how gradients flow: measures, and the callback that logs them for any LightningModule."""

from lit_dl.diagnostics.monitor import GradientMonitor

__all__ = ["GradientMonitor"]
