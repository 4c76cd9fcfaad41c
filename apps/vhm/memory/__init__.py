"""How remembering works: activation, ages, diversity, forgetting, narrative. Pure; no I/O."""
