"""Why something on a cluster waits or has ended, as sentences. Pure: from what Kubernetes says to what a user reads."""
