"""The demo's models: bundles and the scripts that make them. Nothing here is imported at run time."""
