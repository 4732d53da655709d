"""The photos profile: real ImageNet weights on real photographs."""
