"""Policy: pods that the namespace's own rules refuse, by Pod Security and by quotas."""
