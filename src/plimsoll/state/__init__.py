"""What runs keep on disk beside the application file: directory, lock, logs. The same for every target."""
