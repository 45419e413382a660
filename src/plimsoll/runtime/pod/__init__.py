"""The process in a pod: pulls inputs, runs the command by its framework's contract, pushes checkpoints and output."""
