"""Who acts: the fallback rules, the envelope and the human. See `edgeguard.gate.gate`."""
