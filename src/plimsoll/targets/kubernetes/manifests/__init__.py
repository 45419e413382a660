"""Steps as Kubernetes objects. Pure: what a plan would make can be printed, kept in Git and applied by others."""
