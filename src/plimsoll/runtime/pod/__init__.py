"""What runs inside a pod: brings inputs, runs the command by its framework's contract, keeps checkpoints and output."""
