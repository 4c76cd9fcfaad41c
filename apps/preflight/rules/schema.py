"""Schema: kubeconform's findings, and API versions removed by the target version."""
