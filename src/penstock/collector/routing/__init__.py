"""What is stored goes on to destinations, by the client's own delivery."""
