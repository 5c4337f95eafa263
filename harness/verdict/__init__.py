"""What a captured trace means: whether its promises held, and whose fault it is that not."""
