"""edgeguard: a policy-as-code runtime guard for AI on embedded and edge devices."""
