"""What a search did, and where it went wrong."""
