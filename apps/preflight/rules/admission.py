"""Admission: what the API server refuses and no schema says."""
