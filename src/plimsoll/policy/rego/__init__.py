"""Rules of the user in Rego: files, the engines that evaluate them, and what their answers mean."""
