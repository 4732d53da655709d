"""Models in processes of their own that can do nothing but answer. The host believes nothing they say."""
