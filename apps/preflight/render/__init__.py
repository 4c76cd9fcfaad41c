"""From a target (kustomization, file, folder, standard input) to objects with their sources."""
