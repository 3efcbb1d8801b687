"""The YAML configs, packaged as ``lit_dl.conf``."""
