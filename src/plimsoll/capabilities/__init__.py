"""The capabilities that a cluster has to have, and how each is shown: a folder per capability."""
