"""The signs demo: data, training, export, attacks, measurement."""
