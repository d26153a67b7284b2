"""From requests as they came to rows; pure."""
