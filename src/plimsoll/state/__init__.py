"""Files that runs keep next to the application file: directory, lock, logs. The same for every target."""
