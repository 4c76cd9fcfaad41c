"""References: every name a manifest mentions exists in the right namespace, with the key or port named."""
