"""The command line. Each verb has one module, which parses, calls and prints."""
