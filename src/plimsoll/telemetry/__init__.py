"""What a run tells other systems of itself."""
