"""Open Images V7: class names to images, their addresses, their licences."""
